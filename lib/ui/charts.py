"""How every chart looks: its question above, its figures in words and as a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import duration, number, share
from lib.ui import chart_specs
from lib.ui.columns import time_column
from lib.ui.dashboard import time_zone
from lib.ui.time_range import STEP_LENGTHS, Step

HUES = ("blue", "amber", "red", "green", "gray", "violet", "teal")
"""The colours of charts, as chartCategoricalColors of .streamlit/config.toml has them in order."""
PERCENTILES = {"p50": "blue", "p95": "amber", "p99": "red"}
_STATUSES = {"completed": "green", "failed": "red", "cancelled": "gray"}
_MOST_KINDS = 6
"""Kinds of counted things that words name."""
_NAME_SHARE = 0.075
"""Of a chart's height, for the name of a line."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw: how, and the figures by their names there (see lib.ui.chart_specs)."""

    spec: chart_specs.Spec
    datasets: Mapping[str, pd.DataFrame]


def colors(hues: Iterable[str]) -> tuple[str, ...]:
    """Some of HUES as they are in the viewer's theme."""
    theme = st.context.theme.type or "light"
    known = dict(zip(HUES, st.get_option(f"theme.{theme}.chartCategoricalColors"), strict=True))
    return tuple(known[hue] for hue in hues)


def moments(at: pd.Series, step: Step) -> pd.Series:
    """The moments of an axis in words, for tooltips: days as those of UTC."""
    zone, form = ("UTC", "%-d %b %Y (UTC)") if step == "day" else (time_zone(), "%-d %b %H:%M")
    words: pd.Series = at.dt.tz_convert(zone).dt.strftime(form)
    return words


def step_column(step: Step) -> Any:
    """The moments of an axis as a column of a table."""
    if step == "day":
        return st.column_config.DatetimeColumn("Day (UTC)", format="D MMM YYYY", timezone="UTC")
    return time_column(step.capitalize())


def lines(
    figures: pd.DataFrame,
    hues: Mapping[str, str],
    step: Step,
    unit: str,
    *,
    title: str,
    limit: float | None = None,
) -> Chart:
    """One line for each of the columns named in `hues`, over the column `at`.

    Each has its name beside its end; the second of a colour is dashed. `unit` stands at the axis
    and makes "seconds" readable in tooltips; `title` says there what the lines are. A value that
    is missing leaves a gap. A dashed line across shows the `limit`.
    """
    long = figures[["at", *hues]].melt("at", var_name="line")
    long["words"] = [None if pd.isna(value) else _worded(value, unit) for value in long["value"]]
    datasets = {chart_specs.FIGURES: long.assign(when=moments(long["at"], step))}
    if len(hues) > 1:
        datasets[chart_specs.NAMES] = _names(long)
    if limit is not None:
        datasets[chart_specs.LIMIT] = pd.DataFrame({"value": [limit]})
    shades = colors(hues.values())
    limited = limit is not None
    spec = chart_specs.lines(tuple(hues), shades, step, unit, title=title, limited=limited)
    return Chart(spec, datasets)


def bars(
    figures: pd.DataFrame,
    by: str,
    things: str,
    step: Step,
    *,
    shown: tuple[datetime, datetime] | None = None,
    axis: Step | None = None,
) -> Chart | None:
    """Stacked bars of the column `things` by that of their kinds, over the column `at`.

    `shown` is the time that the axis shows, if that is longer; `axis` is the step of the axis, if
    days are not those of UTC. A step that is not over is pale. None without figures.
    """
    if figures.empty:
        return None
    names, axis = tuple(figures[by].unique()), axis or step
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
    shades = None
    if by == "status":
        names, shades = tuple(_STATUSES), colors(_STATUSES.values())
    spec = chart_specs.bars(by, things, names, shades, step, axis)
    return Chart(spec, {chart_specs.FIGURES: drawn})


def area(figures: pd.DataFrame, column: str, step: Step, unit: str, *, title: str) -> Chart:
    """A stepped area of a column over the column `at`; `title` says in tooltips what it counts."""
    drawn = figures[["at", column]].set_axis(["at", "value"], axis=1)
    drawn["when"] = moments(drawn["at"], step)
    return Chart(chart_specs.area(step, unit, title), {chart_specs.FIGURES: drawn})


def distribution(figures: pd.DataFrame) -> Chart:
    """How lengths of time are spread now, as bars, and before, as outlines.

    The columns are those of chart_specs.distribution, with the periods "now" and "before".
    """
    spec = chart_specs.distribution(("now", "before"), colors(["blue", "amber"]))
    return Chart(spec, {chart_specs.FIGURES: figures})


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
    chart: Chart | None,
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
    if figures.empty or chart is None:
        st.info(empty)
        return
    st.vega_lite_chart(
        spec={**chart.spec, "datasets": dict(chart.datasets)}, key=key, alt=f"{question} {words}"
    )
    # Filled once it is opened: the grid's code alone is a third of what a first visit loads.
    with st.expander("As a table", key=f"{key} as a table", on_change="rerun") as table:
        if table.open:
            st.dataframe(
                figures, hide_index=True, column_config=columns, placeholder="–", alt=question
            )
