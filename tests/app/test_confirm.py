"""The report of an action outlives a page that is drawn anew at once."""

import pytest
from streamlit.testing.v1 import AppTest

from lib import confirm


def page() -> None:
    from lib.confirm import confirmations

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

        from lib.confirm import confirmations, report

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
