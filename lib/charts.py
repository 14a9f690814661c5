"""How every chart looks: its question above, its figures as a table below."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from lib.dashboard import time_column, time_zone
from lib.formats import duration
from lib.time_range import Step

STATUSES = ["completed", "failed", "cancelled", "pending", "processing"]
_COLORS = ["#2f9e6e", "#d64545", "#8a8f98", "#c58a1b", "#2f6fe4"]
PERCENTILE_COLORS = {"p50": "#2f6fe4", "p95": "#c58a1b", "p99": "#d64545"}
HEIGHT = 220
HEIGHT_WITH_LEGEND = 280
LEGEND = alt.Legend(orient="top", title=None, columns=2, labelLimit=260, offset=4)
_TIMES = {
    "year": "%Y", "month": "%b %Y", "week": "%-d %b", "date": "%-d %b", "day": "%-d %b",
    "hours": "%H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S",
}  # fmt: skip


def status_color() -> alt.Color:
    """Statuses in their colours, the same on every page."""
    return alt.Color("status:N", title=None).scale(domain=STATUSES[:3], range=_COLORS[:3])


def time_axis(step: Step) -> alt.X:
    """The column `at` as times in the viewer's time zone, days as those of UTC."""
    scale = alt.Scale(type="utc" if step == "day" else "time")
    axis = alt.Axis(format=_TIMES, labelOverlap=True, labelFlush=True, grid=False)
    if step == "day":
        axis.tickMinStep = 86_400_000
    return alt.X("at:T", title=None, scale=scale, axis=axis)


def moments(at: pd.Series, step: Step) -> pd.Series:
    """Such times in words, for tooltips."""
    zone, form = ("UTC", "%-d %b %Y (UTC)") if step == "day" else (time_zone(), "%-d %b %H:%M")
    words: pd.Series = at.dt.tz_convert(zone).dt.strftime(form)
    return words


def step_column(step: Step) -> Any:
    """Such times as a column of a table."""
    if step == "day":
        return st.column_config.DatetimeColumn("Day (UTC)", format="D MMM YYYY", timezone="UTC")
    return time_column("D MMM HH:mm", step.capitalize())


def lines(
    figures: pd.DataFrame, colors: Mapping[str, str], step: Step, unit: str, *, title: str
) -> alt.Chart:
    """One line for each of the columns named in `colors`, over the column `at`.

    `unit` stands at the axis and makes "seconds" readable in tooltips; `title` says there what
    the lines are. A value that is missing leaves a gap.
    """
    long = figures[["at", *colors]].melt("at", var_name="line")
    words = duration if unit == "seconds" else "{:,.4g}".format
    long["words"] = [None if pd.isna(value) else words(value) for value in long["value"]]
    chart: alt.Chart = (
        alt.Chart(long.assign(when=moments(long["at"], step)))
        # Points, since a line alone does not show a value between two gaps.
        .mark_line(point={"size": 16}, strokeWidth=2)
        .encode(
            x=time_axis(step),
            y=alt.Y("value:Q", title=unit),
            color=alt.Color("line:N", legend=LEGEND).scale(
                domain=list(colors), range=list(colors.values())
            ),
            tooltip=[
                alt.Tooltip("when:N", title=step),
                alt.Tooltip("line:N", title=title),
                alt.Tooltip("words:N", title=unit),
            ],
        )
        .properties(height=HEIGHT_WITH_LEGEND)
    )
    return chart


def show(
    question: str,
    chart: Any,
    figures: pd.DataFrame,
    *,
    key: str,
    alt_text: str,
    columns: dict[str, Any] | None = None,
    empty: str = "No job ended in this time.",
) -> None:
    """A chart under the question that it answers, and its figures behind it.

    `alt_text` says in words what is drawn; `columns` as `column_config` of a dataframe; `empty`
    stands in for a chart without figures.
    """
    st.subheader(question)
    if figures.empty:
        st.info(empty)
        return
    st.altair_chart(chart, key=key, alt=alt_text)
    # Filled once it is opened: the grid's code alone is a third of what a first visit loads.
    with st.expander("As a table", key=f"{key} as a table", on_change="rerun") as table:
        if table.open:
            st.dataframe(figures, hide_index=True, column_config=columns, placeholder="–")
