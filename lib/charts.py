"""How every chart looks: its question above, its figures in words and as a table."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from lib.columns import time_column
from lib.dashboard import time_zone
from lib.formats import duration, number, share
from lib.time_range import STEP_LENGTHS, Step

HUES = ("blue", "amber", "red", "green", "gray", "violet", "teal")
"""The colours of charts, as chartCategoricalColors of .streamlit/config.toml has them in order."""
PERCENTILES = {"p50": "blue", "p95": "amber", "p99": "red"}
HEIGHT = 220
HEIGHT_WITH_LEGEND = 280
LEGEND = alt.Legend(orient="top", title=None, columns=3, labelLimit=260, offset=4)
LONG_LEGEND = alt.Legend(orient="top", title=None, columns=2, labelLimit=260, offset=4)
_STATUSES = {"completed": "green", "failed": "red", "cancelled": "gray"}
_MOST_KINDS = 6
"""Kinds of counted things that words name."""
_NAME_SHARE = 0.075
"""Of a chart's height, for the name of a line."""
_TIMES = {
    "year": "%Y", "month": "%b %Y", "week": "%-d %b", "date": "%-d %b", "day": "%-d %b",
    "hours": "%H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S",
}  # fmt: skip


def colors(hues: Iterable[str]) -> list[str]:
    """Some of HUES as they are in the viewer's theme."""
    theme = st.context.theme.type or "light"
    known = dict(zip(HUES, st.get_option(f"theme.{theme}.chartCategoricalColors"), strict=True))
    return [known[hue] for hue in hues]


def status_color() -> alt.Color:
    """Statuses in their colours, the same on every page."""
    shades = colors(_STATUSES.values())
    return alt.Color("status:N", title=None).scale(domain=list(_STATUSES), range=shades)


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
    return time_column(step.capitalize())


def lines(
    figures: pd.DataFrame, hues: Mapping[str, str], step: Step, unit: str, *, title: str
) -> alt.LayerChart:
    """One line for each of the columns named in `hues`, over the column `at`.

    Each has its name beside its end; the second of a colour is dashed. `unit` stands at the axis
    and makes "seconds" readable in tooltips; `title` says there what the lines are. A value that
    is missing leaves a gap.
    """
    long = figures[["at", *hues]].melt("at", var_name="line")
    long["words"] = [None if pd.isna(value) else _worded(value, unit) for value in long["value"]]
    shades, names = list(hues.values()), list(hues)
    dashes = [[4, 3] if hue in shades[:place] else [1, 0] for place, hue in enumerate(shades)]
    color = alt.Color("line:N", legend=None).scale(domain=names, range=colors(shades))
    drawn = (
        alt.Chart(long.assign(when=moments(long["at"], step)))
        # Points, since a line alone does not show a value between two gaps.
        .mark_line(point={"size": 16}, strokeWidth=2)
        .encode(
            x=time_axis(step),
            y=alt.Y("value:Q", title=unit),
            color=color,
            strokeDash=alt.StrokeDash("line:N", legend=None).scale(domain=names, range=dashes),
            tooltip=[
                alt.Tooltip("when:N", title=step),
                alt.Tooltip("line:N", title=title),
                alt.Tooltip("words:N", title=unit),
            ],
        )
    )
    named = (
        alt.Chart(_names(long))
        .mark_text(align="left", dx=6, fontWeight=600)
        .encode(x=time_axis(step), y=alt.Y("place:Q", title=unit), text="line:N", color=color)
    )
    parts = [drawn, named] if len(names) > 1 else [drawn]
    return alt.LayerChart(layer=parts, height=HEIGHT)


def bars(
    figures: pd.DataFrame,
    by: str,
    things: str,
    step: Step,
    *,
    shown: tuple[datetime, datetime] | None = None,
    axis: Step | None = None,
) -> alt.Chart | None:
    """Stacked bars of the column `things` by that of their kinds, over the column `at`.

    `shown` is the time that the axis shows, if that is longer; `axis` as in time_axis, if days are
    not those of UTC. A step that is not over is pale. None without figures.
    """
    if figures.empty:
        return None
    names, axis = list(figures[by].unique()), axis or step
    drawn = figures.assign(until=figures["at"] + STEP_LENGTHS[step])
    if shown:
        # Bars of no height, so that the axis also shows a time in which there was nothing.
        ends = pd.DataFrame({"at": shown, "until": shown, by: names[0], things: 0})
        drawn = pd.concat([drawn, ends])
    so_far = drawn["until"] > datetime.now(UTC)
    drawn = drawn.assign(
        when=moments(drawn["at"], axis) + so_far.map({True: ", so far", False: ""}),
        opacity=so_far.map({True: 0.45, False: 1.0}),
        place=[names.index(name) for name in drawn[by]],
    )
    color = status_color() if by == "status" else alt.Color(f"{by}:N").scale(domain=names)
    chart: alt.Chart = (
        alt.Chart(drawn)
        .mark_bar(orient="vertical")
        .encode(
            x=time_axis(axis),
            x2="until:T",
            y=alt.Y(f"{things}:Q", title=f"{things} per {step}", stack="zero").axis(tickMinStep=1),
            color=color.legend(LEGEND if by == "status" else LONG_LEGEND),
            order="place:Q",
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=[
                alt.Tooltip("when:N", title=step),
                alt.Tooltip(f"{by}:N"),
                alt.Tooltip(f"{things}:Q", format=","),
            ],
        )
        .properties(height=HEIGHT_WITH_LEGEND)
    )
    return chart


def _names(long: pd.DataFrame) -> pd.DataFrame:
    """Where the names of lines stand: beside their last values, and never on each other."""
    known = long.dropna(subset="value")
    last = known.groupby("line", sort=False).tail(1).sort_values("value")
    room, places = (known["value"].max() or 1) * _NAME_SHARE, list[float]()
    for value in last["value"]:
        places.append(max(value, places[-1] + room) if places else value)
    return last[["line"]].assign(at=long["at"].max(), place=places)


def _worded(value: float, unit: str) -> str:
    if unit == "seconds":
        return duration(value)
    return f"{number(value)} {unit}"


def course(figures: pd.DataFrame, names: Sequence[str], step: Step, unit: str) -> str:
    """Lines in words: the last value and the highest of each, and when that was."""
    return f"{'; '.join(_course(figures, name, step, unit) for name in names)}."


def _course(figures: pd.DataFrame, name: str, step: Step, unit: str) -> str:
    known = figures[["at", name]].dropna()
    if known.empty:
        return f"{name}: no value"
    highest = known.loc[[known[name].idxmax()]]
    return (
        f"{name}: {_worded(known[name].iloc[-1], unit)} at last, at most"
        f" {_worded(highest[name].iloc[0], unit)} ({moments(highest['at'], step).iloc[0]})"
    )


def counts(figures: pd.DataFrame, by: str, step: Step, things: str) -> str:
    """Bars in words: how many of the column `things` in all, of which kinds, and when the most.

    `by` is the column of the kinds.
    """
    if figures.empty:
        return f"No {things}."
    kinds = figures.groupby(by, sort=False)[things].sum().sort_values(ascending=False)
    total, steps = int(kinds.sum()), figures.groupby("at")[things].sum()
    said = [f"{n:,} {kind} ({share(n, total)})" for kind, n in kinds.head(_MOST_KINDS).items()]
    if len(kinds) > _MOST_KINDS:
        said.append(f"{len(kinds) - _MOST_KINDS} other kinds")
    when = moments(pd.Series([steps.idxmax()]), step).iloc[0]
    most = f"At most {steps.max():,} per {step} ({when})."
    return f"{total:,} {things} in all: {', '.join(said)}. {most}"


def show(
    question: str,
    chart: Any,
    figures: pd.DataFrame,
    *,
    key: str,
    words: str,
    columns: dict[str, Any] | None = None,
    empty: str = "No job ended in this time.",
) -> None:
    """A chart under the question that it answers, and its figures behind it.

    `words` says what is drawn with its most important figures, for who does not see it; `columns`
    as `column_config` of a dataframe; `empty` stands in for a chart without figures.
    """
    st.header(question)
    if figures.empty:
        st.info(empty)
        return
    st.altair_chart(chart, key=key, alt=f"{question} {words}")
    # Filled once it is opened: the grid's code alone is a third of what a first visit loads.
    with st.expander("As a table", key=f"{key} as a table", on_change="rerun") as table:
        if table.open:
            st.dataframe(
                figures, hide_index=True, column_config=columns, placeholder="–", alt=question
            )
