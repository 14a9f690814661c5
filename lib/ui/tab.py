"""The browser tab: the page's name, with a status text and icon when something is wrong."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lib.checks.health import verdict
from lib.database import DatabaseUnavailable, TimeLimitReached
from lib.ui.access import role
from lib.ui.dashboard import read

REFRESH_SECONDS = 5.0
"""How often an open page updates its tab."""
ICONS = Path(__file__).parents[2] / ".streamlit"
"""Folder of the tab icons: one for each state, distinguishable without color."""


@dataclass(frozen=True, slots=True)
class _State:
    """Status shown next to the page's name. `icon` is a file in .streamlit/."""

    label: str = ""
    icon: str = "icon.svg"


_UNREACHABLE = _State("Database away", "icon_away.svg")
_SLOW = _State("Database slow", "icon_look.svg")
_ICON_BY_LEVEL = {"good": "icon.svg", "warning": "icon_look.svg", "critical": "icon_act.svg"}


def name_tab(title: str) -> None:
    """Set the tab's title and icon, and keep them up to date."""
    _label(title, st.session_state.get("tab", _State()))
    # Parallel, so that the page does not wait for this query.
    st.fragment(lambda: _refresh(title), run_every=REFRESH_SECONDS, parallel=True)()


def _refresh(title: str) -> None:
    if role() is None:
        # The role was revoked while the page is open: reveal nothing more.
        return
    state = _state()
    if state != st.session_state.get("tab", _State()):
        st.session_state["tab"] = state
        _label(title, state)


def _state() -> _State:
    if st.session_state.get("database_away"):
        # The page already polls the database; another query here would only delay clicks.
        return _UNREACHABLE
    try:
        found = verdict(read("overview", "now"))
    except TimeLimitReached:
        return _SLOW
    except DatabaseUnavailable:
        return _UNREACHABLE
    return _State(found.short if found.conditions else "", _ICON_BY_LEVEL[found.level])


def _label(title: str, state: _State) -> None:
    st.set_page_config(
        page_title=" · ".join(filter(None, [state.label, f"{title} – Darkroom"])),
        page_icon=ICONS / state.icon,
    )
