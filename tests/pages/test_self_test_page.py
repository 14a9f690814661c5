"""The self-test by one click: green where all works, red with the repair where it does not."""

import re
import subprocess
import sys

import pytest
from environment import bare
from playwright.sync_api import expect
from running_app import PROJECT

pytestmark = pytest.mark.slow

FAST = {"DARKROOM_SAMPLE_DATA": "0", "DARKROOM_SIMULATOR_SPEED": "50"}
BREAKS = {
    "Schema is complete": (
        "drop function public.claim_next_job",
        "create function public.claim_next_job(",
    ),
    "Changes arrive in real time": (
        "drop trigger image_generations_changed on public.image_generations",
        "create trigger image_generations_changed",
    ),
    "Another user's jobs are invisible": (
        'drop policy "Users can view their own jobs" on public.job_queue',
        'create policy "Users can view their own jobs" on public.job_queue',
    ),
}


@pytest.fixture
def work_beside(db, eventually):
    """Starts a worker of its own process, with the given settings."""
    started = []

    def start(**settings):
        environment = bare(DARKROOM_SIMULATOR_FAILURE_RATE="0")
        process = subprocess.Popen(
            [sys.executable, "-m", "lib.worker"], cwd=PROJECT, env=environment | FAST | settings
        )
        started.append(process)
        eventually(lambda: db.execute("select from public.workers").fetchall())
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def run(page, app):
    """Opens the page anew, presses the button and waits for the verdict."""
    page.goto(f"{app.url}/self-test")
    page.get_by_role("button", name="Run self-test").click()
    expect(page.get_by_text(re.compile("^(Last run|No run yet)"))).to_have_count(0)
    verdict = page.get_by_text(re.compile(r"^Self-test passed|^\d+ checks? failed"))
    expect(verdict).to_be_visible(timeout=60_000)
    return verdict.inner_text()


def expect_first(page, title):
    """What failed stands first on the page."""
    expect(page.get_by_text(re.compile("^Failed ")).first).to_have_text(f"Failed {title}")


def test_all_green_by_one_click_and_remembered_for_others(make_app, page):
    app = make_app(**FAST).start()
    assert run(page, app).startswith("Self-test passed: 19 passed in ")
    assert page.get_by_text("Failed", exact=True).count() == 0
    other = page.context.browser.new_page()
    other.goto(f"{app.url}/self-test")
    expect(other.get_by_text(re.compile("^Last run "))).to_be_visible()
    expect(other.get_by_text("Self-test passed")).to_be_visible()
    other.close()
    assert app.rows("select * from public.job_queue") == []
    log = app.log.read_text()
    assert "Traceback" not in log
    assert app.keys.secret not in log + page.content()


def test_red_with_the_repair(make_app, work_beside, page, database, db):
    app = make_app(**FAST, DATABASE_URL=database).start()
    worker = work_beside(DATABASE_URL=database, DARKROOM_DATA=str(app.folder), DARKROOM_URL=app.url)
    for title, (broken, repair) in BREAKS.items():
        db.execute(broken)
        assert run(page, app).startswith("1 check failed: ")
        expect_first(page, title)
        code = page.get_by_test_id("stCode").first
        expect(code).to_contain_text(repair)
        db.execute(code.inner_text().encode())
    worker.terminate()
    worker.wait(30)
    assert run(page, app).startswith("1 check failed: ")
    expect_first(page, "A worker is alive")
    expect(page.get_by_text("Start a worker: python -m lib.worker").first).to_be_visible()
