"""The browser's tab: the page's name, and by words and picture whether something is wrong."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lib.checks.health import verdict
from lib.database import DatabaseUnavailable, TimeLimitReached
from lib.ui.access import role
from lib.ui.dashboard import read

SECONDS = 5.0
"""How soon the tab follows the state, while a page stays open."""
PICTURES = Path(__file__).parent.parent / ".streamlit"
"""Where those of the tab are: one a state, different in shape too."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the tab shows beside the page's name. `picture` is a file of .streamlit/."""

    words: str = ""
    picture: str = "icon.svg"


_AWAY = _State("Database away", "icon_away.svg")
_SLOW = _State("Database slow", "icon_look.svg")
_PICTURE = {"good": "icon.svg", "look": "icon_look.svg", "act": "icon_act.svg"}


def name_tab(title: str) -> None:
    """Names the tab after its page, and keeps it up to date."""
    _label(title, st.session_state.get("tab", _State()))
    # Parallel: the page does not wait for what is read here.
    st.fragment(lambda: _follow(title), run_every=SECONDS, parallel=True)()


def _follow(title: str) -> None:
    if role() is None:
        # Whose role was taken away while the page is open learns no more.
        return
    state = _state()
    if state != st.session_state.get("tab", _State()):
        st.session_state["tab"] = state
        _label(title, state)


def _state() -> _State:
    if st.session_state.get("database_away"):
        # The page looks whether it is back: asking here too would only make clicks wait.
        return _AWAY
    try:
        found = verdict(read("overview", "now"))
    except TimeLimitReached:
        return _SLOW
    except DatabaseUnavailable:
        return _AWAY
    return _State(found.short if found.conditions else "", _PICTURE[found.level])


def _label(title: str, state: _State) -> None:
    st.set_page_config(
        page_title=" · ".join(filter(None, [state.words, f"{title} – Darkroom"])),
        page_icon=PICTURES / state.picture,
    )
