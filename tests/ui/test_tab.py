"""The browser's tab says what is wrong while a page stays open, in words and by its picture."""

import base64
import re

import pytest
from playwright.sync_api import Page, expect

from lib.ui.tab import ICONS

pytestmark = pytest.mark.slow

LONG = 60_000


def shows(page: Page, title: str, picture: str) -> None:
    expect(page).to_have_title(title, timeout=LONG)
    icon = page.locator("link[rel='shortcut icon']")
    drawn = base64.b64encode((ICONS / picture).read_bytes()).decode()
    expect(icon).to_have_attribute("href", re.compile(re.escape(drawn)), timeout=LONG)


def test_follows_the_state_while_a_page_is_open(make_app, page: Page, database, db, database_away):
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency, last_seen_at) select gen_random_uuid(), 'worker', 'here', 1, now(), '1',"
        " '{a}', 1, now() + interval '1 hour'"
    )
    page.goto(f"{make_app(DATABASE_URL=database).start().url}/models")
    shows(page, "Models – Darkroom", "icon.svg")
    db.execute("select pause_queue('me', 'a')")
    shows(page, "Warning (1) · Models – Darkroom", "icon_look.svg")
    db.execute(
        "insert into provider_breakers (provider, opened_at, open_until)"
        " values ('replicate', now() - interval '12 minutes', now())"
    )
    shows(page, "Critical (1) · Models – Darkroom", "icon_act.svg")
    page.get_by_role("link", name="Deployment").click()
    shows(page, "Critical (1) · Deployment – Darkroom", "icon_act.svg")
    with database_away():
        shows(page, "Database away · Deployment – Darkroom", "icon_away.svg")
    shows(page, "Critical (1) · Deployment – Darkroom", "icon_act.svg")
    with db.transaction():
        # Whoever reads it waits until the time limit.
        db.execute("lock table queue_pauses")
        shows(page, "Database slow · Deployment – Darkroom", "icon_look.svg")
    shows(page, "Critical (1) · Deployment – Darkroom", "icon_act.svg")
    db.execute("delete from provider_breakers")
    db.execute("delete from queue_pauses")
    shows(page, "Deployment – Darkroom", "icon.svg")
