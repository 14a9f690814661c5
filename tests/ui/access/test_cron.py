"""Schedules are an admin's: an operator only sees them, a viewer has no such page."""

import re
from collections.abc import Iterator

import pytest
from people import LONG, PEOPLE, sign_in
from playwright.sync_api import Page, expect
from provider import Provider
from running_app import App

from lib.database import connect
from lib.database.pool import Connection

pytestmark = pytest.mark.slow

SCHEDULED = b"""
insert into vault.secrets values ('darkroom_secret_key', 'sb_secret_sesame');
select cron.schedule('nightly', '0 3 * * *', 'vacuum');
"""
LEFT = b"select cron.unschedule(jobid) from cron.job; delete from vault.secrets;"
JOBS = "select job_name, schedule, active from cron_jobs()"


@pytest.fixture(scope="module")
def shared_database(cron_database: str) -> str:
    """The app's database here: the one with pg_cron."""
    return cron_database


@pytest.fixture
def conn(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as conn:
        conn.execute(SCHEDULED)
        yield conn
        conn.execute(LEFT)


def test_an_operator_changes_no_schedule(
    conn: Connection, signed_app: App, provider: Provider, page: Page
) -> None:
    before = conn.execute(JOBS).fetchall()
    actions = conn.execute("select count(*) from audit_log").fetchone()
    sign_in(page, signed_app, provider, email=PEOPLE["operator"])
    page.goto(f"{signed_app.url}/workers")
    main = page.get_by_test_id("stMain")
    for button in ("Pause schedule", "Remove schedule", "Schedule process-jobs|Replace schedule"):
        main.get_by_role("button", name=re.compile(f"^({button})$")).click(timeout=LONG)
        refusal = page.get_by_text("Requires the admin role; yours is operator.")
        expect(refusal).to_be_visible(timeout=LONG)
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.reload()
        expect(refusal).to_have_count(0, timeout=LONG)
    assert conn.execute(JOBS).fetchall() == before
    assert conn.execute("select count(*) from audit_log").fetchone() == actions


def test_a_viewer_has_no_page_of_schedules(
    conn: Connection, signed_app: App, provider: Provider, page: Page
) -> None:
    sign_in(page, signed_app, provider, email=PEOPLE["viewer"])
    page.goto(f"{signed_app.url}/workers")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("link", name="Workers")).to_have_count(0)
    expect(page.get_by_text("nightly")).to_have_count(0)
