"""Times of the viewer's own, "From … to …" at the head of a page."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from lib.ui import dashboard, time_range

BERLIN = ZoneInfo("Europe/Berlin")


def page() -> None:
    import streamlit as st

    from lib.ui.time_range import time_range

    span = time_range()
    st.text(f"{span.start:%d %H:%M %Z}, {span.length}, {span.description}")


@pytest.fixture
def chosen(monkeypatch):
    """The page in Berlin, after the viewer has chosen two moments."""
    for module in (dashboard, time_range):
        monkeypatch.setattr(module, "time_zone", lambda: BERLIN)

    def choose(first: datetime, last: datetime) -> AppTest:
        app = AppTest.from_function(page)
        app.session_state["time"] = time_range.CUSTOM
        app.session_state["from"], app.session_state["to"] = first, last
        return app.run()

    return choose


def test_moments_are_those_of_the_viewers_clock(chosen):
    shown = chosen(datetime(2026, 7, 1, 8), datetime(2026, 7, 2, 9, 30))
    assert shown.text[0].value == (
        "01 06:00 UTC, 1 day, 1:30:00, the period 1 Jul 08:00 to 2 Jul 09:30"
    )


def test_a_time_across_the_end_of_summer_time_is_whole(chosen):
    shown = chosen(datetime(2026, 10, 24), datetime(2026, 10, 26))
    assert shown.text[0].value == (
        "23 22:00 UTC, 2 days, 1:00:00, the period 24 Oct 00:00 to 26 Oct 00:00"
    )


def test_an_end_before_the_beginning_is_said_and_nothing_is_read(chosen):
    shown = chosen(datetime(2026, 7, 2), datetime(2026, 7, 1))
    assert "The end must be after the start" in shown.error[0].value
    assert not shown.text


def test_of_a_time_that_is_too_long_the_last_part_is_shown(chosen):
    shown = chosen(datetime(2020, 1, 1), datetime(2026, 7, 1))
    assert f"Limited to the {time_range.MAX_LENGTH.days} days" in shown.warning[0].value
    assert shown.text[0].value.endswith("30 Jun 2024 00:00 to 1 Jul 00:00")
    assert str(timedelta(days=731)) in shown.text[0].value
