"""What is set up here, and what state is each part in?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lib.checks.deployment.catalogue import CHECKS
from lib.formats import ago, plural
from lib.ops.fault_injection import fault_file
from lib.provider.simulator.faults import FaultsError
from lib.settings import settings
from lib.ui.dashboard import read
from lib.ui.live import live
from lib.ui.navigation import link
from lib.ui.pages import PAGES
from lib.ui.parts.deployment_checks import REFRESH_SECONDS, need_attention, run_checks
from lib.ui.parts.maintenance_tasks import current_tasks

State = dict[str, Any]
"""The row of the query `state` in queries/admin.sql."""


@dataclass(frozen=True, slots=True)
class Card:
    """A page of the administration: its purpose in one line, and its state as a badge."""

    page: str
    purpose: str
    badge: Callable[[State], str]


def deployment(_: State) -> str:
    checks, pending, _at = run_checks()
    if pending:
        return f":red-badge[{plural(len(pending), 'migration')} to apply]"
    if left := checks.open_checks():
        color = "red" if checks.critical else "orange"
        return f":{color}-badge[{need_attention(len(left))}]"
    return f":green-badge[All {len(CHECKS)} checks passed]"


def self_test(state: State) -> str:
    match state["self_test"]:
        case None:
            return ":gray-badge[Never run]"
        case "passed":
            return f":green-badge[Passed {ago(state['self_test_seconds'])}]"
    return f":red-badge[Failed {ago(state['self_test_seconds'])}]"


def fault_injection(_: State) -> str:
    file = fault_file(settings())
    if file is None:
        return ":gray-badge[Simulated provider only]"
    try:
        active = len(file.read().summary)
    except FaultsError:
        return ":red-badge[Faults unreadable]"
    return (
        f":orange-badge[{plural(active, 'fault')} active]"
        if active
        else ":green-badge[No faults active]"
    )


def migration_path(state: State) -> str:
    return f":gray-badge[{state['percentage']}% of users on the queue]"


def rollback(state: State) -> str:
    if state["rollback_seconds"] is None:
        return ":green-badge[No rollback in progress]"
    return f":orange-badge[Rollback started {ago(state['rollback_seconds'])}]"


def maintenance(state: State) -> str:
    if state["purging"]:
        return ":blue-badge[Purge running]"
    tasks = current_tasks()
    if overdue := sum(task.overdue for task in tasks):
        return f":orange-badge[{overdue} of {len(tasks)} tasks due]"
    return ":green-badge[No tasks due]"


def audit(state: State) -> str:
    if state["audit_seconds"] is None:
        return ":gray-badge[No entries]"
    return f":gray-badge[Last entry {ago(state['audit_seconds'])}]"


CARDS = (
    Card("deployment", "Check that the schema, functions and cron jobs are complete.", deployment),
    Card("self_test", "Run every part of the queue once with test jobs.", self_test),
    Card("fault_injection", "Simulate provider failures.", fault_injection),
    Card("migration_path", "Move users from the synchronous path to the queue.", migration_path),
    Card("rollback", "Move users back to the synchronous path.", rollback),
    Card("maintenance", "Purge old jobs and monitor space, growth and limits.", maintenance),
    Card("audit", "See who changed what, and when.", audit),
)


def panel() -> None:
    state = read("admin", "state")
    with st.grid("auto", min_column_width=300):
        for card in CARDS:
            with st.container(border=True):
                link(card.page, f"**{PAGES[card.page].title}**", PAGES[card.page].icon)
                st.caption(card.purpose)
                st.markdown(card.badge(state))


live(panel, seconds=REFRESH_SECONDS)
