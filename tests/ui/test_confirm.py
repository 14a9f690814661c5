"""The report of an action is a toast that outlives reruns, and leaves the page below it alone."""

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from lib.ui import confirm

LONG = 30_000
STUCK = """insert into job_queue (job_type, status, attempts, started_at, updated_at)
values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"""


def act() -> None:
    import streamlit as st

    from lib.ui.confirm import confirmations, report, report_missed

    if st.button("Act"):
        report("Done.")
    st.text("missed" if report_missed() else "not missed")
    confirmations()


@pytest.fixture
def script() -> AppTest:
    """A page whose action has just been done."""
    return AppTest.from_function(act).run().button[0].click().run()


def reports(script: AppTest) -> list[str]:
    return [toast.value for toast in script.toast]


def test_a_report_is_drawn_again_until_a_browser_shows_it(script: AppTest) -> None:
    assert reports(script) == ["Done."]
    assert [reports(script.run()), reports(script.run())] == [["Done."]] * 2


def test_a_report_that_no_browser_shows_is_missed(script: AppTest) -> None:
    assert script.text[0].value == "not missed"
    script.session_state["report"].drawn_at -= 2 * confirm.REDRAW_SECONDS
    assert script.run().text[0].value == "missed"


@pytest.mark.slow
def test_a_click_does_what_its_button_said_when_it_was_aimed_at(make_app, page: Page, database, db):
    db.execute(STUCK)
    url = f"{make_app(DATABASE_URL=database).start().url}/jobs?view=stuck"
    reset = page.get_by_role("button", name="Reset all 1")
    page.goto(f"{url}&live=false")
    expect(reset).to_be_visible(timeout=LONG)
    db.execute(STUCK)
    other = page.context.new_page()
    other.goto(url)
    # Answers are shared: the app now knows of two.
    expect(other.get_by_role("button", name="Reset all 2")).to_be_visible(timeout=LONG)
    reset.click()
    expect(page.get_by_role("dialog")).to_contain_text("2 stuck jobs", timeout=LONG)


@pytest.mark.slow
def test_a_report_is_shown_once_and_moves_nothing(make_app, page: Page):
    page.goto(f"{make_app(DARKROOM_SAMPLE_DATA='0').start().url}/fault-injection")
    heading = page.get_by_role("heading", level=1)
    page.get_by_role("button", name="Slow").click(timeout=LONG)
    page.get_by_role("dialog").get_by_role("button", name="Apply faults").click(timeout=LONG)
    button = page.get_by_role("button", name="Clear all faults")
    expect(button).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("stToast")).to_have_count(0, timeout=LONG)
    switch = page.get_by_role("switch", name="Live").element_handle()
    place = heading.bounding_box()
    button.click()
    toast = page.get_by_test_id("stToast")
    expect(toast).to_contain_text("All faults cleared")
    assert heading.bounding_box() == place
    # By itself, and a page that is drawn again later does not repeat it.
    expect(toast).to_have_count(0, timeout=LONG)
    page.get_by_text("Live", exact=True).click()
    page.wait_for_timeout(3_000)
    expect(toast).to_have_count(0)
    assert switch.evaluate("element => element.isConnected")
