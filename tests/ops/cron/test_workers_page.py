"""The Workers page in a real browser, on a real PostgreSQL 15 with pg_cron."""

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
from cron_calls import BY_HAND, one, schedule
from cron_server import send_requests
from playwright.sync_api import Locator, Page, TimeoutError, expect

from lib.database import connect
from lib.database.pool import Connection

pytestmark = pytest.mark.slow

LONG = 30_000
SCHEDULES = ["* * * * *", "*/2 * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *"]
MISSING = "select current_setting('app.settings.no_such_key')"
LEFT = b"""
select cron.unschedule(jobid) from cron.job;
delete from cron.job_run_details;
delete from vault.secrets;
truncate public.cron_requests, net.http_request_queue, net._http_response, public.workers;
"""


@pytest.fixture
def conn(cron_database: str) -> Iterator[Connection]:
    """A connection to the database with pg_cron; what is scheduled there runs.

    Its audit log holds what other tests of the run did, and entries cannot be taken out.
    """
    with connect(cron_database) as conn:
        yield conn
        conn.execute(LEFT)


def press(main: Locator, name: str) -> None:
    """Clicks a button once those of another job, which stay for a moment, are gone.

    Until its dialog opens: a refresh of the page can replace the button under the click.
    """
    button, dialog = main.get_by_role("button", name=name), main.page.get_by_role("dialog")
    expect(button).to_have_count(1, timeout=LONG)
    for _ in range(3):
        button.click()
        with suppress(AssertionError):
            expect(dialog).to_be_visible(timeout=LONG / 3)
            return
    expect(dialog).to_be_visible()


def choose_job(main: Locator, name: str) -> None:
    """Chooses a cron job; a refresh of the page can close the open list."""
    option = main.page.get_by_role("option", name=name)
    for _ in range(3):
        main.get_by_role("combobox", name="Cron job").first.click()
        with suppress(TimeoutError):
            option.click(timeout=LONG / 3)
            return
    option.click()


def confirm(page: Page, button: str, report: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_text(report)).to_be_visible(timeout=LONG)


@pytest.mark.timeout(240)
def test_the_queue_is_scheduled_seen_running_and_unscheduled(
    make_app, page: Page, cron_database, conn, eventually
):
    before = one(conn, "select coalesce(max(id), 0) from audit_log")
    by_hand = schedule(conn, BY_HAND, "*/30 * * * * *", "every 30 s")
    schedule(conn, MISSING, "* * * * *", "<b>broken</b>")
    app = make_app(DATABASE_URL=cron_database, DARKROOM_SIMULATOR_SPEED="50").start()
    main, dialog = page.get_by_test_id("stMain"), page.get_by_role("dialog")

    # High enough for all of it: an open list closes when the page scrolls.
    page.set_viewport_size({"width": 1440, "height": 4000})

    # The trap, in red with the right form, and the key that is missing.
    page.goto(f"{app.url}/workers")
    trap = "every 30 s: pg_cron has no field for seconds and reads only the first five of the 6"
    expect(main.get_by_text(trap)).to_be_visible(timeout=LONG)
    expect(main.get_by_text("Change the schedule to “* * * * *”: every minute")).to_be_visible(
        timeout=LONG
    )
    reads = "The command reads the setting app.settings.service_role_key, which is not set"
    expect(main.get_by_text(reads).first).to_be_visible(timeout=LONG)
    expect(main.get_by_text("No key with this name yet.")).to_be_visible(timeout=LONG)
    expect(main.get_by_role("button", name="Replace schedule")).to_be_disabled(timeout=LONG)

    # One click gives the trapped job the right form. Seconds, which this version has not, are
    # not offered.
    main.get_by_role("combobox", name="Schedule", exact=True).click()
    expect(page.get_by_role("option")).to_have_text(SCHEDULES, timeout=LONG)
    page.keyboard.press("Escape")
    main.get_by_role("button", name="Change schedule").click()
    expect(dialog.get_by_text("every minute instead of every 30")).to_be_visible(timeout=LONG)
    confirm(page, "Change schedule", "Schedule changed.")
    expect(main.get_by_text(trap)).to_be_hidden(timeout=LONG)

    # The queue gets a schedule that is right.
    conn.execute("insert into vault.secrets values ('darkroom_secret_key', %s)", [app.keys.secret])
    page.reload()
    main.get_by_role("button", name="Replace schedule").click(timeout=LONG)
    expect(dialog.get_by_text("This replaces every 30 s (* * * * *)")).to_be_visible(timeout=LONG)
    confirm(page, "Replace schedule", "process-jobs scheduled: every minute.")
    jobs = {row["job_name"]: row for row in conn.execute("select * from cron_jobs()")}
    assert jobs.keys() == {"process-jobs", "<b>broken</b>"}
    assert by_hand not in [job["job_id"] for job in jobs.values()]

    # Paused and resumed.
    press(main, "Pause schedule")
    confirm(page, "Pause schedule", "process-jobs paused.")
    nobody = "No worker alive. The cron job that runs the queue is paused"
    expect(main.get_by_text(nobody)).to_be_visible(timeout=LONG)
    press(main, "Resume schedule")
    confirm(page, "Resume schedule", "process-jobs resumed.")

    # A run of pg_cron, joined with what the function really answered.
    generation = {"prompt": "A kite", "model_id": "black-forest-labs/flux-schnell", "test": True}
    app.call("start-generation", generation)
    requests = []

    def processed() -> bool:
        # A run that began just before the job was there has nothing to do; the next one has.
        requests.extend(send_requests(conn))
        return one(conn, "select status from job_queue") == "completed"

    eventually(processed, 130)
    request = requests[-1]
    assert request["url"] == f"{app.url}/functions/v1/process-jobs"
    assert request["timeout_milliseconds"] == 10_000
    answered = "HTTP 200: Jobs processed: 1, errors: 0"
    expect(main.locator("canvas", has_text=answered)).to_have_count(1, timeout=LONG)

    # A failing run, explained with its repair.
    failing = re.compile(
        "Cron job <b>broken</b>: last (run|[0-9]+ runs) failed. ERROR: unrecognized configuration"
    )
    expect(main.get_by_text(failing)).to_be_visible(timeout=LONG)
    choose_job(main, "<b>broken</b>")
    expect(main.get_by_text("which is not set. Every run fails").first).to_be_visible(timeout=LONG)
    expect(main.get_by_text("alter database postgres set app.settings.no_such_key")).to_be_visible(
        timeout=LONG
    )
    explained = "The command reads a setting that is not set"
    expect(main.locator("canvas", has_text=explained)).to_have_count(1, timeout=LONG)

    # Called by hand, then unscheduled.
    press(main, "Call process-jobs")
    confirm(
        page,
        "Call process-jobs",
        "process-jobs responded: HTTP 200: Jobs processed: 0, errors: 0",
    )
    choose_job(main, "process-jobs")
    expect(main.get_by_text("which is not set")).to_have_count(1, timeout=LONG)
    press(main, "Remove schedule")
    confirm(page, "Remove schedule", "process-jobs removed.")
    assert [row["job_name"] for row in conn.execute("select * from cron_jobs()")] == [
        "<b>broken</b>"
    ]
    expect(main.get_by_text("Nothing is running the queue. Schedule process-jobs")).to_be_visible(
        timeout=LONG
    )

    records = conn.execute(
        "select * from audit_log where action ~ 'cron|process' and id > %s order by id", [before]
    )
    assert [(row["action"], row["actor"].endswith("(local)")) for row in records] == [
        ("change_cron_job", True),
        ("schedule_process_jobs", True),
        ("change_cron_job", True),
        ("change_cron_job", True),
        ("call_process_jobs", True),
        ("unschedule_cron_job", True),
    ]
    assert app.keys.secret not in page.content()
    assert app.keys.secret not in app.log.read_text()
    assert app.keys.secret not in one(conn, "select string_agg(details::text, '') from audit_log")


def test_without_pg_cron_the_page_shows_the_workers_own_clock(make_app, page: Page, eventually):
    app = make_app(DARKROOM_SAMPLE_DATA="0").start()
    eventually(lambda: app.rows("select from public.workers"))
    page.goto(f"{app.url}/workers")
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("pg_cron is not installed in this database.")).to_be_visible(
        timeout=LONG
    )
    expect(
        main.get_by_text("1 worker alive, 0 of 10 slots in use. No schedule problems.")
    ).to_be_visible(timeout=LONG)
    for text in ("Claim pending jobs", "Every 5.0 s", "Alive"):
        expect(main.locator("canvas", has_text=text)).to_have_count(1, timeout=LONG)
    expect(main.get_by_role("button", name=re.compile("^Schedule p|schedule$"))).to_have_count(0)
    press(main, "Call process-jobs")
    confirm(
        page,
        "Call process-jobs",
        "process-jobs responded: HTTP 200: Jobs processed: 0, errors: 0",
    )


def test_a_call_that_fails_says_why(make_app, page: Page, database):
    gone = "http://127.0.0.1:9"
    app = make_app(DATABASE_URL=database, DARKROOM_URL=gone).start()
    page.goto(f"{app.url}/workers")
    page.get_by_role("button", name="Call process-jobs").click(timeout=LONG)
    confirm(page, "Call process-jobs", "The call failed:")
    said = f"No response from {gone}/functions/v1/process-jobs: ConnectError."
    expect(page.get_by_role("dialog").get_by_text(said)).to_be_visible(timeout=LONG)
