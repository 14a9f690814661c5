"""Operators read the checklist, apply a migration, and go back from the queue and forth again."""

import csv
import os
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from running_app import App, apps

from lib.database import connect, embedded

pytestmark = pytest.mark.slow

LONG = 30_000
FORGET = "delete from darkroom.migrations where version = %s"


@pytest.fixture(scope="module")
def app(eventually):
    with apps(eventually) as make:
        yield make(DARKROOM_SAMPLE_DATA="0", DARKROOM_SIMULATOR_SPEED="20").start()


def change(app: App, sql: str, *parameters: object) -> None:
    with connect(embedded.start(app.folder / "postgres").url) as connection:
        connection.execute(sql.encode(), parameters)


def test_what_is_broken_is_shown_with_its_repair_until_it_is_repaired(app, page: Page):
    change(app, "alter table public.job_leases disable row level security")
    page.goto(f"{app.url}/deployment")
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("row-level security of job_leases is off").first).to_be_visible(
        timeout=LONG
    )
    repair = "alter table public.job_leases enable row level security;"
    expect(main.get_by_text(repair)).to_be_visible(timeout=LONG)
    change(app, repair)
    expect(main.get_by_text("row-level security of job_leases is off")).to_have_count(
        0, timeout=LONG
    )
    assert app.keys.secret not in page.content()
    assert app.keys.publishable in page.content()


def start_from_page(page: Page, app: App) -> str:
    """The response to the curl command of the page, run in a shell with the secret key."""
    page.goto(f"{app.url}/deployment")
    command = page.locator("code", has_text="curl").first.inner_text(timeout=LONG)
    env = {"PATH": os.environ["PATH"], "SUPABASE_SECRET_KEY": app.keys.secret}
    return subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True).stdout


def test_the_command_of_the_page_starts_a_generation(app, page: Page):
    assert '"status":"queued"' in start_from_page(page, app)


def test_where_the_publishable_key_starts_nothing_the_page_says_what_does(
    make_app, page: Page, database
):
    app = make_app(DATABASE_URL=database).start()
    assert '"status":"queued"' in start_from_page(page, app)
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("rejected with 401 unless DARKROOM_ANONYMOUS_STARTS=1")).to_be_visible()
    assert app.keys.secret not in page.content()


def test_a_point_is_ticked_and_the_report_says_by_whom(app, page: Page, tmp_path: Path):
    page.goto(f"{app.url}/deployment")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    # What the test before broke is gone from the page, and nothing moves any more.
    expect(main.get_by_text("1 of 18 checks needs attention")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("row-level security of job_leases is off")).to_have_count(0)
    main.locator(".st-key-tick-team-trained").get_by_role("button").click(timeout=LONG)
    dialog.get_by_role("button", name="Mark as done", exact=True).click(timeout=LONG)
    expect(page.get_by_text("Team trained: done.")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("Marked as done by")).to_be_visible(timeout=LONG)
    with page.expect_download() as download:
        main.get_by_role("button", name="Download report").click()
    file = tmp_path / "report.html"
    download.value.save_as(file)
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", name="Deployment checklist")).to_be_visible()
    expect(page.get_by_text("(local), ")).to_contain_text("ticked by")


def test_a_pending_migration_is_shown_and_applied(app, page: Page):
    # Nothing is lost when this one runs again.
    version = "20261124085900"
    change(app, FORGET, version)
    page.goto(f"{app.url}/deployment")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    main.get_by_test_id("stExpander").get_by_text(version).click(timeout=LONG)
    expect(main.get_by_text("create table if not exists public.audit_log (")).to_be_visible()
    main.get_by_role("button", name="Apply 1 migration").click()
    dialog.get_by_role("button", name="Apply 1 migration").click(timeout=LONG)
    expect(page.get_by_text("1 migration applied.")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("All migrations of this version are applied.")).to_be_visible()
    [logged] = app.rows(
        "select actor, details from public.audit_log where action = 'apply_migration'"
    )
    assert logged["details"]["file"] == f"{version}_existing_deployment.sql"
    assert logged["actor"].endswith("(local)")


def test_a_migration_that_fails_is_told_in_words(app, page: Page):
    version = "20261124091400"
    change(app, FORGET, version)
    page.goto(f"{app.url}/deployment")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    main.get_by_role("button", name="Apply 1 migration").click(timeout=LONG)
    dialog.get_by_role("button", name="Apply 1 migration").click(timeout=LONG)
    expect(dialog.get_by_text("The action failed or was only partly completed:")).to_be_visible(
        timeout=LONG
    )
    expect(dialog.get_by_text(f"{version}_test_runs.sql: relation")).to_be_visible()
    assert "Traceback" not in page.content()
    change(app, "insert into darkroom.migrations values (%s, 'test_runs', '')", version)


def test_back_from_the_queue_and_forth_again(app, page: Page, tmp_path: Path):
    change(app, "select public.set_async_rollout('me', 30)")
    change(
        app,
        "insert into public.job_queue (job_type)"
        " select 'nobody takes it' from generate_series(1, 700)",
    )
    change(
        app,
        "insert into public.job_queue (job_type, status, attempts, completed_at, error_message)"
        " values ('a', 'failed', 1, now(), '=1+1')",
    )
    page.goto(f"{app.url}/rollback")
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")
    expect(main.get_by_text("No rollback in progress.")).to_be_visible(timeout=LONG)
    expect(main.get_by_role("button", name="Pause queue")).to_have_count(0)
    main.get_by_role("textbox", name="Reason").fill("**Images** are <b>wrong</b>")
    main.get_by_role("button", name="Start rollback").click()
    dialog.get_by_role("button", name="Start rollback").click(timeout=LONG)
    expect(main.get_by_text("**Images** are <b>wrong</b>").first).to_be_visible(timeout=LONG)

    def take(button: str, asks: str, report: str) -> None:
        main.get_by_role("button", name=button).click(timeout=LONG)
        expect(dialog.get_by_text(asks)).to_be_visible(timeout=LONG)
        dialog.get_by_role("button", name=button).click()
        expect(page.get_by_text(report)).to_be_visible(timeout=LONG)

    take("Pause queue", "pending jobs (700) stay pending", "Queue paused.")
    take("Move all users", "Moves the 30% of users", "30% were on the queue")
    take("Cancel pending jobs", "Cancels 700 pending jobs. Running jobs", "700 jobs cancelled.")
    with page.expect_download() as download:
        main.get_by_role("button", name="Export as CSV").first.click()
        main.get_by_role("button", name="Save 1 row").click(timeout=LONG)
    file = tmp_path / "failed.csv"
    download.value.save_as(file)
    [row] = csv.DictReader(file.open())
    assert row["error_message"] == "'=1+1"
    main.get_by_role("textbox", name="Who was notified", exact=True).fill("Support")
    main.get_by_role("button", name="Record notice").click()
    dialog.get_by_role("button", name="Record notice").click(timeout=LONG)
    expect(page.get_by_text("1 notice recorded.")).to_be_visible(timeout=LONG)

    main.get_by_role("radio", name="Resume").click()
    take("Resume queue", "Workers claim jobs again", "Queue resumed.")
    take("Put jobs back", "Puts 700 jobs cancelled by this", "700 jobs put back on the queue")
    take("Restore percentage", "Puts 30% of users on the queue", "30% of users will use the queue")
    expect(main.get_by_text("Everything is restored.")).to_be_visible(timeout=LONG)
    main.get_by_role("button", name="End rollback").click()
    expect(dialog.get_by_text("Everything is restored.")).to_be_visible(timeout=LONG)
    dialog.get_by_role("button", name="End rollback").click()
    expect(page.get_by_text("Rollback ended.")).to_be_visible(timeout=LONG)
    expect(main.get_by_text("Earlier rollbacks")).to_be_visible(timeout=LONG)
    assert app.rows("select percentage from public.async_rollout") == [{"percentage": 30}]
    assert app.rows("select from public.queue_pauses") == []
