"""The window of the Overview's chart: its length, its steps, and the rows of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from lib.ui.dashboard import read
from lib.ui.flow_chart import QUARTER
from lib.ui.time_range import RANGES

EPOCH = datetime.fromtimestamp(0, UTC)
ROLLUP = "24 h"
"""The window that has a view of its own, which is the cheapest."""
STEPS = {
    "1 h": timedelta(minutes=1),
    "6 h": timedelta(minutes=5),
    ROLLUP: QUARTER,
    "7 d": timedelta(hours=1),
}
"""The step of each window, by its name in RANGES."""


@dataclass(frozen=True, slots=True)
class FlowWindow:
    """The last hours or days of the chart."""

    name: str

    @property
    def length(self) -> timedelta:
        return RANGES[self.name]

    @property
    def step(self) -> timedelta:
        return STEPS[self.name]


def flow_window() -> FlowWindow:
    """Draw the choice, kept in the URL."""
    name = st.selectbox(
        "Window of the chart",
        [*STEPS],
        [*STEPS].index(ROLLUP),
        key="window",
        bind="query-params",
        format_func="Last {}".format,
        label_visibility="collapsed",
        width=130,
    )
    return FlowWindow(name)


def read_flow(window: FlowWindow) -> Sequence[Mapping[str, Any]]:
    """One row a step, oldest first, with the columns of the view queue_quarters."""
    if window.name == ROLLUP:
        rows: Sequence[Mapping[str, Any]] = read("overview", "quarters")
        return rows
    span = {"start": None, "length": window.length}
    if window.step < timedelta(hours=1):
        flow = read("throughput", "flow_by_minute", length=window.length)
        ended = read("throughput", "ended_by_minute", by="status", **span)
    else:
        flow = read("throughput", "flow", bucket="hour", **span)
        ended = read("throughput", "ended", bucket="hour", by="status", **span)
    steps: dict[datetime, dict[str, Any]] = {}
    for row in flow:
        if row["arrivals"] is None:
            continue  # The moment now, which is no step.
        at = _step_of(row["at"], window.step)
        empty = {"at": at, "arrived": 0, "completed": 0, "failed": 0, "depth": None}
        step = steps.setdefault(at, empty)
        step["arrived"] += row["arrivals"]
        if row["queue"] is not None:
            step["depth"] = max(row["queue"], step["depth"] or 0)
    for row in ended:
        step = steps.get(_step_of(row["at"], window.step), {})
        if row["name"] in step:
            step[row["name"]] += row["jobs"]
    return list(steps.values())


def _step_of(at: datetime, length: timedelta) -> datetime:
    return at - (at - EPOCH) % length
