"""A page's live panel: refreshes until the viewer pauses it, and shows how old its data is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.ui.access import role
from lib.ui.confirm import report_missed
from lib.ui.dashboard import (
    REFRESH_SECONDS,
    database_errors_shown,
    format_time_of_day,
    reachable,
    recording_answer_times,
    show_outage,
)
from lib.ui.navigation import live_controls


def live(
    panel: Callable[[], None],
    *,
    seconds: float = REFRESH_SECONDS,
    beside: Callable[[], None] | None = None,
) -> bool:
    """Draw the panel now and every `seconds`, unless the viewer switches refreshing off.

    The switch is on the title line, and `beside` draws into the same row. Shows a skeleton before
    the first draw. While the database is unreachable, shows an error and returns False, so that the
    rest of the page need not repeat it. Reruns the whole page once the database is reachable again.
    """
    with live_controls():
        refreshing = st.toggle(
            "Live",
            True,
            key="live",
            bind="query-params",
            help=f"Refreshes every {seconds:g} s. Switch off to freeze the page.",
        )
        # Outside the fragment, where each refresh would briefly clear it.
        timestamp = st.empty()
        if beside:
            beside()
    st.fragment(lambda: _draw(panel, timestamp), run_every=seconds if refreshing else None)()
    is_reachable = "database_unreachable" not in st.session_state
    if not (is_reachable or refreshing):
        _poll_database()
    return is_reachable


def _draw(panel: Callable[[], None], timestamp: DeltaGenerator) -> None:
    if role() != st.session_state["role"] or report_missed():
        # The role was revoked, the sign-in has expired, or the report is missing on the screen.
        st.rerun()
    # The skeleton is below the panel, so that nothing moves away from a click when it goes.
    page, content, placeholder = st.session_state["page"], st.container(), st.empty()
    was_away = st.session_state.get("database_unreachable")
    if was_away == "unreachable":
        # Before the attempt to connect: while that waits, what is not drawn again fades.
        with content:
            show_outage()
        if reachable():
            st.rerun()
        return
    if st.session_state.get("drawn") != page:
        placeholder.skeleton(height=400)
    with content, recording_answer_times() as times, database_errors_shown():
        panel()
        if st.session_state.pop("database_unreachable", None):
            # The schema is ready now.
            st.rerun()
    if not was_away and "database_unreachable" in st.session_state:
        # Leaves out what needs the database, buttons and exports outside this panel too.
        st.rerun()
    placeholder.empty()
    if times:
        timestamp.caption("Updated " + format_time_of_day(min(times)).replace(":", r"\:"))
    st.session_state["drawn"] = page


@contextmanager
def rerun_when_reachable() -> Iterator[None]:
    """Show database errors for queries outside the live panel, and poll until it is reachable.

    Reruns the whole page then.
    """
    succeeded = False
    with database_errors_shown():
        yield
        succeeded = True
    if not succeeded:
        _poll_database()


def _poll_database() -> None:
    st.fragment(_rerun_if_reachable, run_every=REFRESH_SECONDS)(monotonic())


def _rerun_if_reachable(failed_at: float) -> None:
    if monotonic() - failed_at < REFRESH_SECONDS / 2:
        # The fragment's first run is immediate: a database that refuses at once would be polled
        # in a tight loop.
        return
    if reachable():
        st.rerun()
