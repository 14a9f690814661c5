"""An operator in a real browser: submits a generation, sees its image, resets a stuck job."""

import re

import pytest
from playwright.sync_api import Page, expect

from lib.ui.dashboard import REFRESH_SECONDS

pytestmark = pytest.mark.slow

SENTENCE = re.compile("Database (unreachable|unavailable):")
PAGES_WITH_MORE = {
    "workers": "Workers",
    "jobs?view=duplicates": "Jobs",
    "fault-injection": "Fault injection",
}
READY = """() => document.querySelector('h1')
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')"""
# Notes when each run of the page ended.
RUNS = """() => {
    window.runs = [];
    const app = document.querySelector('[data-testid=stApp]');
    new MutationObserver(() => {
        if (app.dataset.testScriptState === 'notRunning') runs.push(performance.now() / 1000);
    }).observe(app, { attributeFilter: ['data-test-script-state'] });
}"""


def test_an_operator_submits_a_generation_resets_stuck_jobs_and_pauses(make_app, page: Page):
    app = make_app(DARKROOM_SIMULATOR_SPEED="4").start()
    # The first visit of all is a link to a page inside.
    page.goto(f"{app.url}/jobs?view=stuck")
    expect(page.get_by_role("button", name="Reset all 4")).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("stMain").get_by_text("DEMO", exact=True).first).to_be_visible()
    expect(page.get_by_text("4 jobs stuck")).to_be_visible()

    page.get_by_role("link", name="Generate", exact=True).click()
    page.get_by_label("Prompt", exact=True).fill("A red kite over <b>dunes</b>")
    page.get_by_role("button", name="Generate 1 image").click()
    image = page.get_by_role("img", name="A red kite over <b>dunes</b>").first
    expect(image).to_be_visible(timeout=30_000)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    expect(page.get_by_text("1 of 1 completed")).to_be_visible()

    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("radio", name="Stuck 4").click(timeout=30_000)
    expect(page.get_by_role("button", name="Reset all 4")).to_be_visible(timeout=30_000)
    # The checkbox of the first row; the table is drawn on a canvas.
    page.get_by_test_id("stDataFrame").first.click(position={"x": 16, "y": 52})
    page.get_by_role("button", name="Reset 1 selected").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Reset 1 selected").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset 1 stuck job").click()
    expect(page.get_by_text("1 job put back on the queue.")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Reset all 3").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset 3 stuck jobs").click()
    expect(page.get_by_text("3 jobs put back on the queue.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("No jobs are stuck.")).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Pause queue").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause queue", exact=True).click()
    expect(page.get_by_text(re.compile(r"Queue paused by .* \(all jobs\)"))).to_be_visible(
        timeout=30_000
    )
    page.get_by_role("button", name="Resume queue").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume queue", exact=True).click()
    expect(page.get_by_role("button", name="Pause queue")).to_be_visible(timeout=30_000)
    audit = app.rows(
        "select actor, action, affected from public.audit_log"
        " where action <> 'load_sample_data' order by id"
    )
    assert [(row["action"], row["affected"]) for row in audit] == [
        ("start_test_run", 1),
        ("reset_stuck_jobs", 1),
        ("reset_stuck_jobs", 3),
        ("pause_queue", 1),
        ("resume_queue", 1),
    ]
    assert all(row["actor"].endswith("(local)") for row in audit)


def test_a_database_that_is_away_is_said_on_every_page_and_comes_back(
    make_app, page: Page, database, database_away
):
    app = make_app(DATABASE_URL=database).start()
    page.goto(app.url)
    expect(page.get_by_role("link", name="Failure rate")).to_be_visible(timeout=30_000)
    with database_away():
        expect(page.get_by_text(SENTENCE).first).to_be_visible(timeout=30_000)
        expect(page.get_by_role("link", name="Failure rate")).to_be_hidden()
        for link in ("Jobs", "Generate"):
            page.get_by_role("link", name=link, exact=True).click()
            expect(page.get_by_role("heading", name=link)).to_be_visible()
            expect(page.get_by_text(SENTENCE).first).to_be_visible(timeout=30_000)
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible(timeout=30_000)
    expect(page.get_by_text(SENTENCE)).to_be_hidden()
    # These read before their live panel is drawn.
    with database_away():
        for path, title in {"users": "Users", "audit": "Audit log"}.items():
            page.goto(f"{app.url}/{path}")
            expect(page.get_by_role("heading", name=title)).to_be_visible()
            expect(page.get_by_text(SENTENCE).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("No entries match these filters.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(SENTENCE)).to_be_hidden()


def test_a_database_that_is_away_is_said_once_below_the_switch(
    make_app, page: Page, database, database_away
):
    """Also by pages that read below their live panel too."""
    app = make_app(DATABASE_URL=database).start()
    with database_away():
        for path, title in PAGES_WITH_MORE.items():
            page.goto(f"{app.url}/{path}")
            expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
            page.wait_for_function(READY, timeout=30_000)
            expect(page.get_by_role("switch", name="Live")).to_be_visible()
            assert page.get_by_text(SENTENCE).count() == 1, path
    # Of the last page, what is below its panel.
    expect(page.get_by_text("No active faults.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("No changes.")).to_be_visible(timeout=30_000)


def test_a_page_that_stands_still_goes_on_once_the_database_is_back(
    make_app, page: Page, database, database_away
):
    app = make_app(DATABASE_URL=database).start()
    with database_away():
        page.goto(f"{app.url}/jobs?view=stuck&live=false")
        expect(page.get_by_text(SENTENCE).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("No jobs are stuck.")).to_be_visible(timeout=30_000)


def test_a_database_that_answers_and_refuses_is_asked_again_with_rests(
    make_app, page: Page, database, db
):
    db.execute("alter table audit_log rename to audit_log_of_old")
    page.goto(f"{make_app(DATABASE_URL=database).start().url}/audit")
    expect(page.get_by_text("The database is responding but not ready yet.")).to_be_visible(
        timeout=30_000
    )
    page.evaluate(RUNS)
    page.wait_for_function("runs.length >= 6", timeout=30_000)
    # To look and to draw the page are at most two runs.
    assert page.evaluate("runs[5] - runs[0]") > REFRESH_SECONDS
    db.execute("alter table audit_log_of_old rename to audit_log")
    expect(page.get_by_text("No entries match these filters.")).to_be_visible(timeout=30_000)
