"""Charts with a heading, a text alternative and the data as a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import duration, number, share
from lib.ui import chart_specs
from lib.ui.chart_clipping import clip, clip_counts, clip_stacks
from lib.ui.columns import time_column
from lib.ui.dashboard import time_zone
from lib.ui.time_range import STEP_LENGTHS, Step

HUES = ("blue", "amber", "red", "green", "gray", "violet", "teal")
"""Color names, in the order of chartCategoricalColors in .streamlit/config.toml."""
COLORS = {
    "arrived": "blue",
    "completed": "green",
    "failed": "red",
    "refused": "amber",
    "cancelled": "gray",
    "depth": "violet",
}
"""What a color means, on every chart."""
PERCENTILES = {"p50": "teal", "p95": "amber", "p99": "amber"}
_STATUSES = ("completed", "failed", "refused", "cancelled")
_GROUPS = ("teal", "amber", "violet", "gray", "blue")
"""For models and job types, in their order; then paler ones."""
Window = tuple[datetime, datetime]
"""Both ends of a time axis. All charts of a page share one."""
_MAX_KINDS_DESCRIBED = 6
"""Categories that a text alternative lists by name."""
_LABEL_HEIGHT_SHARE = 0.075
"""Height of a line label, as a share of the chart's height."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A spec and its datasets by name (see lib.ui.chart_specs); `note` names clipped values."""

    spec: chart_specs.Spec
    datasets: Mapping[str, pd.DataFrame]
    note: str = ""


def colors(hues: Iterable[str]) -> tuple[str, ...]:
    """The color values of some HUES in the viewer's theme."""
    theme = st.context.theme.type or "light"
    known = dict(zip(HUES, st.get_option(f"theme.{theme}.chartCategoricalColors"), strict=True))
    return tuple(known[hue] for hue in hues)


def format_times(at: pd.Series, step: Step) -> pd.Series:
    """Formatted times for tooltips: in the viewer's time zone, or UTC if a step is a day."""
    zone, form = ("UTC", "%-d %b %Y (UTC)") if step == "day" else (time_zone(), "%-d %b %H:%M")
    labels: pd.Series = at.dt.tz_convert(zone).dt.strftime(form)
    return labels


def step_column(step: Step) -> Any:
    """The time column of a chart's table."""
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
    window: Window | None = None,
) -> Chart:
    """One line for each column named in `hues`, over the column `at`.

    Each is labeled at its end; a repeated color is drawn dashed. `unit` is the axis title, and
    "seconds" are formatted as durations in tooltips; `title` is the tooltip's label for a line.
    Missing values leave gaps. `limit` is drawn as a dashed horizontal rule. `window` is the time
    axis, by default that of the figures.
    """
    long = figures[["at", *hues]].melt("at", var_name="line")
    long["words"] = [
        None if pd.isna(value) else _format_value(value, unit) for value in long["value"]
    ]
    long = long.assign(when=format_times(long["at"], step))
    clipped = clip(
        long, long["value"], lambda value: _format_value(value, unit), at_least=limit or 0
    )
    datasets = {
        chart_specs.FIGURES: clipped.figures,
        chart_specs.CLIPPED: clipped.beyond,
        chart_specs.WINDOW: _window(window, long["at"]),
    }
    if len(hues) > 1:
        datasets[chart_specs.NAMES] = _line_labels(clipped.figures)
    if limit is not None:
        datasets[chart_specs.LIMIT] = pd.DataFrame({"value": [limit]})
    palette = colors(hues.values())
    has_limit = limit is not None
    spec = chart_specs.lines(tuple(hues), palette, step, unit, title=title, has_limit=has_limit)
    return Chart(spec, datasets, clipped.note)


def bars(
    figures: pd.DataFrame,
    by: str,
    counted: str,
    step: Step,
    *,
    window: Window | None = None,
    axis: Step | None = None,
) -> Chart | None:
    """Stacked bars of the column `counted`, by the category column `by`, over the column `at`.

    `window` is the time axis, by default that of the figures. `axis` overrides the axis step where
    days are not UTC days. The step in progress is drawn paler. None without figures.
    """
    if figures.empty:
        return None
    names, axis = tuple(figures[by].unique()), axis or step
    drawn = figures.assign(until=figures["at"] + STEP_LENGTHS[step])
    in_progress = drawn["until"] > datetime.now(UTC)
    if window:
        drawn["until"] = drawn["until"].where(drawn["until"] < window[1], window[1])
    drawn = drawn.assign(
        when=format_times(drawn["at"], axis) + in_progress.map({True: ", so far", False: ""}),
        opacity=in_progress.map({True: 0.45, False: 1.0}),
        place=[names.index(name) for name in drawn[by]],
    )
    if by == "status":
        # Most queues have no refused jobs, so that their name would only take up room.
        names = tuple(name for name in _STATUSES if name != "refused" or name in names)
        palette = colors(COLORS[name] for name in names)
    else:
        palette = _group_colors(len(names))
    clipped = clip_stacks(drawn, counted)
    spec = chart_specs.bars(by, counted, names, palette, step, axis)
    datasets = {
        chart_specs.FIGURES: clipped.figures,
        chart_specs.CLIPPED: clipped.beyond,
        chart_specs.WINDOW: _window(window, pd.concat([drawn["at"], drawn["until"]])),
    }
    return Chart(spec, datasets, clipped.note)


def area(
    figures: pd.DataFrame,
    column: str,
    step: Step,
    unit: str,
    *,
    title: str,
    window: Window | None = None,
) -> Chart:
    """A stepped area of the queue's depth, `column` over the column `at`.

    `title` is the tooltip's label, `window` the time axis, by default that of the figures.
    """
    drawn = figures[["at", column]].set_axis(["at", "value"], axis=1)
    drawn["when"] = format_times(drawn["at"], step)
    clipped = clip_counts(drawn, drawn["value"])
    datasets = {
        chart_specs.FIGURES: clipped.figures,
        chart_specs.CLIPPED: clipped.beyond,
        chart_specs.WINDOW: _window(window, drawn["at"]),
    }
    [color] = colors([COLORS["depth"]])
    return Chart(chart_specs.area(step, unit, title, color), datasets, clipped.note)


def distribution(figures: pd.DataFrame) -> Chart:
    """Histograms of durations: "now" as bars, "before" as outlines.

    Takes the columns of chart_specs.distribution; `period` is "now" or "before".
    """
    spec = chart_specs.distribution(("now", "before"), colors(["teal", "gray"]))
    return Chart(spec, {chart_specs.FIGURES: figures})


def _window(window: Window | None, at: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"at": window or (at.min(), at.max())})


def _group_colors(count: int) -> tuple[str, ...]:
    full = colors(_GROUPS)
    paler = tuple(f"{color}80" for color in full)  # Half transparent.
    return tuple((full + paler)[place % (2 * len(full))] for place in range(count))


def _line_labels(long: pd.DataFrame) -> pd.DataFrame:
    """Positions of the line labels: next to the last values, moved apart if they overlap."""
    known = long.dropna(subset="drawn")
    last = known.groupby("line", sort=False).tail(1).sort_values("drawn")
    label_height, places = (known["drawn"].max() or 1) * _LABEL_HEIGHT_SHARE, list[float]()
    for value in last["drawn"]:
        places.append(max(value, places[-1] + label_height) if places else value)
    return last[["line"]].assign(at=long["at"].max(), place=places)


def _format_value(value: float, unit: str) -> str:
    if unit == "seconds":
        return duration(value)
    return f"{number(value)}{unit}" if unit.startswith("%") else f"{number(value)} {unit}"


def describe_lines(figures: pd.DataFrame, names: Sequence[str], step: Step, unit: str) -> str:
    """Text alternative for lines: the last and highest value of each, and when it peaked."""
    return f"{'; '.join(_describe_line(figures, name, step, unit) for name in names)}."


def _describe_line(figures: pd.DataFrame, name: str, step: Step, unit: str) -> str:
    known = figures[["at", name]].dropna()
    if known.empty:
        return f"{name}: no value"
    highest = known.loc[[known[name].idxmax()]]
    return (
        f"{name}: latest {_format_value(known[name].iloc[-1], unit)}, highest"
        f" {_format_value(highest[name].iloc[0], unit)}"
        f" ({format_times(highest['at'], step).iloc[0]})"
    )


def describe_bars(figures: pd.DataFrame, by: str, step: Step, counted: str) -> str:
    """Text alternative for bars: the total of `counted`, its breakdown by `by`, and the peak."""
    if figures.empty:
        return f"No {counted}."
    kinds = figures.groupby(by, sort=False)[counted].sum().sort_values(ascending=False)
    total, steps = int(kinds.sum()), figures.groupby("at")[counted].sum()
    shares = [
        f"{n:,} {kind} ({share(n, total)})" for kind, n in kinds.head(_MAX_KINDS_DESCRIBED).items()
    ]
    if len(kinds) > _MAX_KINDS_DESCRIBED:
        shares.append(f"{len(kinds) - _MAX_KINDS_DESCRIBED} other kinds")
    when = format_times(pd.Series([steps.idxmax()]), step).iloc[0]
    most = f"Peak {steps.max():,} per {step} ({when})."
    return f"{total:,} {counted} in total: {', '.join(shares)}. {most}"


def show(
    title: str,
    chart: Chart | None,
    figures: pd.DataFrame,
    *,
    key: str,
    description: str,
    columns: dict[str, Any] | None = None,
    empty: str = "No jobs ended in this time range.",
) -> None:
    """Draw a chart under its heading, with its data as a collapsed table.

    `description` is the text alternative, with the key figures. `columns` is the table's
    `column_config`. `empty` is shown instead of a chart without data.
    """
    st.header(title)
    if figures.empty or chart is None:
        st.info(empty)
        return
    st.vega_lite_chart(
        spec={**chart.spec, "datasets": dict(chart.datasets)},
        key=key,
        alt=f"{title} {description}",
    )
    if chart.note:
        st.caption(chart.note)
    # Rendered only once opened: the grid's code is a third of what a first visit downloads.
    with st.expander("As a table", key=f"{key} as a table", on_change="rerun") as table:
        if table.open:
            st.dataframe(
                figures, hide_index=True, column_config=columns, placeholder="–", alt=title
            )
