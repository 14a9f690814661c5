"""A page's live panel: drawn again and again until its viewer pauses it, with its data's age."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.database import DatabaseUnavailable, translated
from lib.ui.access import role
from lib.ui.dashboard import REFRESH_SECONDS, clock, noting_ages, pool, say_when_away


def live(panel: Callable[[], None], *, seconds: float = REFRESH_SECONDS) -> bool:
    """Draws the panel now and then every so many seconds, unless the viewer has switched it off.

    Until it is drawn for the first time a skeleton stands in its place. While the database is
    away a sentence does, and False is returned: what the page reads below need not say it again.
    Once it is back, the whole page is drawn anew.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        going_on = st.toggle(
            "Live",
            True,
            key="live",
            bind="query-params",
            help=f"Drawn again every {seconds:g} s. Switched off, the page stands still.",
        )
        # Outside the fragment, which would empty a place of its own for a moment at each refresh.
        age = st.empty()
    st.fragment(lambda: _draw(panel, age), run_every=seconds if going_on else None)()
    answers = "database_away" not in st.session_state
    if not (answers or going_on):
        _look_for_it()
    return answers


def _draw(panel: Callable[[], None], age: DeltaGenerator) -> None:
    if role() != st.session_state["role"]:
        # Of a viewer whose role was taken away, or whose sign-in has ended.
        st.rerun()
    page, waiting = st.session_state["page"], st.empty()
    if st.session_state.get("drawn") != page:
        waiting.skeleton(height=400)
    with noting_ages() as times, say_when_away():
        panel()
    waiting.empty()
    if times:
        age.caption("Data of " + clock(min(times)).replace(":", r"\:"))
    st.session_state["drawn"] = page


@contextmanager
def drawn_once_back() -> Iterator[None]:
    """For what a page reads outside its live panel: says that the database is away, and looks.

    Once it is back, the whole page is drawn anew.
    """
    drawn = False
    with say_when_away():
        yield
        drawn = True
    if not drawn:
        _look_for_it()


def _look_for_it() -> None:
    st.fragment(_look, run_every=REFRESH_SECONDS)(monotonic())


def _look(failed_at: float) -> None:
    if monotonic() - failed_at < REFRESH_SECONDS / 2:
        # At once a database that answers, and refuses, would be asked again without a rest.
        return
    try:
        with translated(), pool().connection():
            pass
    except DatabaseUnavailable:
        return
    st.session_state.pop("database_away", None)
    st.rerun()
