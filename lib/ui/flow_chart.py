"""The Overview's chart: jobs of the last hours or days, queue depth and events."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from lib.ops.alerts.rules import RULES
from lib.ops.conditions import type_name
from lib.ui import chart_specs
from lib.ui.chart_clipping import clip_counts, clip_stacks
from lib.ui.charts import COLORS, Chart, colors, format_times

QUARTER = timedelta(minutes=15)
SYMBOLS = {"alert": "▼", "pause": "‖", "fault": "✦"}
KEY = "flow"


def _names(steps: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The kinds of bars: refused jobs only if there were any."""
    refused = any(row["refused"] for row in steps)
    return ("arrived", "completed", "failed", *(["refused"] if refused else []))


def flow_chart(
    steps: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    length: timedelta = QUARTER,
) -> Chart:
    """Two bars per step of that length: arrived, and completed below failed and refused.

    Takes the rows of the queries quarters and events of queries/overview.sql.
    """
    names = _names(steps)
    table = pd.DataFrame(steps).assign(at=lambda rows: pd.to_datetime(rows["at"], utc=True))
    window = pd.DataFrame({"at": [table["at"].iloc[0], table["at"].iloc[-1] + length]})
    bars = table.melt(["at"], names, var_name="name", value_name="jobs")
    is_arrival = bars["name"] == "arrived"
    bars = bars.assign(
        when=format_times(bars["at"], "minute"),
        quarter=bars["at"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        place=[names.index(name) for name in bars["name"]],
        # Side by side, as their sum would mean nothing.
        at=bars["at"].where(is_arrival, bars["at"] + length / 2),
    )
    bars["until"] = bars["at"] + length / 2
    clipped = clip_stacks(bars, "jobs")
    depth = table[["at", "depth"]].assign(when=format_times(table["at"], "minute"))
    deepest = clip_counts(depth, depth["depth"])
    # Headroom, or the line would lie on the upper edge.
    figures = deepest.figures.assign(top=deepest.figures["drawn"].max() * 1.2)
    [depth_color, event_color] = colors([COLORS["depth"], "gray"])
    palette = colors(COLORS[name] for name in names)
    spec = chart_specs.flow(
        names, palette, depth_color, event_color, f"jobs per {step_words(length)}"
    )
    datasets = {
        chart_specs.FIGURES: clipped.figures[clipped.figures["jobs"] > 0],
        chart_specs.CLIPPED: clipped.beyond,
        chart_specs.DEPTH: figures,
        chart_specs.EVENTS: _events(events, table["at"].iloc[0]),
        chart_specs.WINDOW: window,
    }
    kinds = [kind for kind in SYMBOLS if any(event["kind"] == kind for event in events)]
    notes = [
        "─ pending + running, stuck included",
        "  ".join(f"{SYMBOLS[kind]} {kind}" for kind in kinds),
        clipped.note,
        deepest.note and f"Pending + running: {deepest.note}",
    ]
    return Chart(spec, datasets, "  ".join(filter(None, notes)))


def _events(events: Sequence[Mapping[str, Any]], since: datetime) -> pd.DataFrame:
    now = datetime.now(UTC)
    return pd.DataFrame(
        [
            {
                "at": max(event["began_at"], since),
                "until": event["ended_at"] or now,
                "kind": event["kind"],
                "symbol": SYMBOLS[event["kind"]],
                "words": _event_words(event),
            }
            for event in events
        ],
        columns=["at", "until", "kind", "symbol", "words"],
    )


def _event_words(event: Mapping[str, Any]) -> str:
    match event["kind"]:
        case "alert":
            return RULES[event["name"]].title
        case "pause":
            return f"Queue paused ({type_name(event['name'])})"
        case _:
            return str(event["name"])[:200]


def step_words(length: timedelta) -> str:
    """A step of the chart, such as "15 min"."""
    minutes = int(length.total_seconds() // 60)
    return f"{minutes} min" if minutes < 60 else "hour"


def describe_flow(steps: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> str:
    """Text alternative: totals, the deepest queue, and the events."""
    totals = ", ".join(f"{sum(row[name] for row in steps):,} {name}" for name in _names(steps))
    depths = [row["depth"] for row in steps if row["depth"] is not None]
    depth = f" Pending + running: {depths[-1]:,} now, peak {max(depths):,}." if depths else ""
    words = dict.fromkeys(f"{event['kind']}: {_event_words(event)}" for event in events)
    return f"{totals}.{depth} {'; '.join(words) or 'No alerts, pauses or faults'}."


def show_flow(chart: Chart, description: str) -> datetime | None:
    """Draw the chart. Returns the start of the step that was clicked."""
    state: Any = st.vega_lite_chart(
        spec={**chart.spec, "datasets": dict(chart.datasets)},
        key=KEY,
        on_select="rerun",
        # Kept free while the code of charts is loaded.
        height=chart_specs.FLOW_HEIGHT,
        alt=description,
    )
    chosen = state.selection.get(chart_specs.QUARTER) or []
    return datetime.fromisoformat(chosen[0][chart_specs.QUARTER]) if chosen else None
