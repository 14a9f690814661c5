"""The browser tab: the page's name, with a status text and icon when something is wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import streamlit as st

from lib.checks.health import LEVEL_LABELS
from lib.database import DatabaseUnavailable, TimeLimitReached
from lib.ui.dashboard import read

ICONS = Path(__file__).parents[2] / ".streamlit"
"""Folder of the tab icons: one for each state, distinguishable without color."""


class FrameState(TypedDict):
    """The row of the query `state` in queries/frame.sql, which explains each column."""

    alerts_known: bool
    critical: int
    warnings: int
    pending: int
    pending_at_least: bool
    failure_groups: int
    failure_groups_at_least: bool
    workers_alive: int
    workers_expected: int


@dataclass(frozen=True, slots=True)
class TabState:
    """Status shown before the page's name. `icon` is a file in .streamlit/."""

    label: str = ""
    icon: str = "icon.svg"


UNREACHABLE = TabState("Database unreachable", "icon_unreachable.svg")
SLOW = TabState("Database slow", "icon_look.svg")


def frame_state() -> tuple[FrameState | None, TabState]:
    """The counts of the sidebar, None while the database is unreachable; and the tab's status."""
    if st.session_state.get("database_unreachable"):
        # The page already polls the database; another query here would only delay clicks.
        return None, UNREACHABLE
    try:
        state: FrameState = read("frame", "state")
    except TimeLimitReached:
        return None, SLOW
    except DatabaseUnavailable:
        return None, UNREACHABLE
    return state, tab_state(state)


def tab_state(state: FrameState) -> TabState:
    """The status of the firing alerts. Never "all good" while they are not evaluated."""
    if not state["alerts_known"]:
        return TabState("Alerts not evaluated", "icon_look.svg")
    if state["critical"]:
        return TabState(f"{LEVEL_LABELS['critical']} ({state['critical']})", "icon_act.svg")
    if state["warnings"]:
        return TabState(f"{LEVEL_LABELS['warning']} ({state['warnings']})", "icon_look.svg")
    return TabState()


def name_tab(title: str, state: TabState) -> None:
    """Set the tab's title and icon."""
    st.set_page_config(
        page_title=" · ".join(filter(None, [state.label, f"{title} – Darkroom"])),
        page_icon=ICONS / state.icon,
    )
