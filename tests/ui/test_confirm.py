"""The report of an action outlives a page that is drawn anew at once, and leaves it alone."""

import time

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from lib.ui import confirm


def act() -> None:
    import streamlit as st

    from lib.ui.confirm import confirmations, report

    if st.button("Act"):
        report("Done.")
    confirmations()


def reports(script: AppTest) -> list[str]:
    return [box.value for box in script.run().success]


@pytest.fixture
def script() -> AppTest:
    """A page whose action has just been done."""
    return AppTest.from_function(act).run().button[0].click().run()


def seen(script: AppTest, seconds_ago: float) -> None:
    script.session_state["report"].seen_at = time.monotonic() - seconds_ago


def test_a_report_stays_until_it_was_seen_for_long_enough(script: AppTest) -> None:
    assert [reports(script), reports(script)] == [["Done."]] * 2
    seen(script, confirm.REPORT_SECONDS - 5)
    assert reports(script) == ["Done."]
    seen(script, confirm.REPORT_SECONDS)
    assert [reports(script), reports(script)] == [[], []]


def test_a_report_that_no_browser_showed_stays_however_late_the_next_rerun(
    script: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.run()
    now = time.monotonic() + 10 * confirm.REPORT_SECONDS
    monkeypatch.setattr("lib.ui.confirm.time.monotonic", lambda: now)
    assert reports(script) == ["Done."]


def test_a_new_report_replaces_one_that_was_seen(script: AppTest) -> None:
    script.run()
    seen(script, confirm.REPORT_SECONDS)
    assert reports(script) == []
    assert [box.value for box in script.button[0].click().run().success] == ["Done."]


STUCK = """insert into job_queue (job_type, status, attempts, started_at, updated_at)
values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"""


def test_a_click_does_what_its_button_said_when_it_was_aimed_at(make_app, page: Page, database, db):
    db.execute(STUCK)
    url = f"{make_app(DATABASE_URL=database).start().url}/jobs?view=stuck"
    reset = page.get_by_role("button", name="Reset all 1")
    page.goto(f"{url}&live=false")
    expect(reset).to_be_visible(timeout=30_000)
    db.execute(STUCK)
    other = page.context.new_page()
    other.goto(url)
    # Answers are shared: the app now knows of two.
    expect(other.get_by_role("button", name="Reset all 2")).to_be_visible(timeout=30_000)
    reset.click()
    expect(page.get_by_role("dialog")).to_contain_text("2 stuck jobs", timeout=30_000)


@pytest.mark.slow
def test_a_report_leaves_what_is_below_it_in_the_browser(make_app, page: Page, database, db):
    db.execute(STUCK)
    page.goto(f"{make_app(DATABASE_URL=database).start().url}/jobs?view=stuck")
    reset = page.get_by_role("button", name="Reset all 1")
    expect(reset).to_be_visible(timeout=30_000)
    switch = page.get_by_role("switch", name="Live").element_handle()
    reset.click()
    page.get_by_role("dialog").get_by_role("button", name="Reset 1 job").click()
    report = page.get_by_text("1 job put back on the queue.")
    expect(report).to_be_visible(timeout=30_000)
    # By itself, once it has been visible for REPORT_SECONDS.
    expect(report).to_have_count(0, timeout=30_000)
    assert switch.evaluate("element => element.isConnected")
