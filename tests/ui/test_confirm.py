"""The report of an action outlives a page that is drawn anew at once, and leaves it alone."""

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from lib.ui import confirm


def page() -> None:
    from lib.ui.confirm import confirmations

    confirmations()


def reports(script: AppTest) -> list[str]:
    return [box.value for box in script.run().success]


def test_a_report_stays_while_the_page_is_redrawn_and_goes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = AppTest.from_function(page)
    script.session_state["report"] = "1 job cancelled."
    assert [reports(script), reports(script)] == [["1 job cancelled."]] * 2
    monkeypatch.setattr(confirm, "REPORT_SECONDS", 0.0)
    assert [reports(script), reports(script)] == [[], []]


def test_a_new_report_replaces_one_that_was_shown() -> None:
    def act() -> None:
        import streamlit as st

        from lib.ui.confirm import confirmations, report

        if st.button("Act"):
            report("Done.")
        confirmations()

    script = AppTest.from_function(act)
    script.session_state["report"] = "Before."
    script.session_state["report_shown"] = 0.0
    script.run()
    assert [box.value for box in script.success] == []
    script.button[0].click().run()
    assert [box.value for box in script.success] == ["Done."]


def test_a_report_leaves_what_is_below_it_in_the_browser(make_app, page: Page, database, db):
    db.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at)"
        " values ('a', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour')"
    )
    page.goto(f"{make_app(DATABASE_URL=database).start().url}/stuck-jobs")
    reset = page.get_by_role("button", name="Reset all 1")
    expect(reset).to_be_visible(timeout=30_000)
    switch = page.get_by_role("switch", name="Live").element_handle()
    reset.click()
    page.get_by_role("dialog").get_by_role("button", name="Reset 1 job").click()
    expect(page.get_by_text("1 job put back on the queue.")).to_be_visible(timeout=30_000)
    assert switch.evaluate("element => element.isConnected")
