"""Vega-Lite specifications of all charts.

Specs are cached because Altair is slow to build and validate one. Only the data changes between
refreshes; it is passed separately, as the named datasets below.
"""

from functools import lru_cache
from typing import Any

import altair as alt

from lib.ui.time_range import Step

Spec = dict[str, Any]
"""A Vega-Lite specification. Cached and shared: do not mutate."""

# Marks that may be absent have aria=False: an empty group has no accessible name. The chart's text
# alternative says what they show.
FIGURES, NAMES, LIMIT = "figures", "names", "limit"
"""Dataset names: the plotted values, the positions of line labels, the limit's value."""
WINDOW, CLIPPED, DEPTH, EVENTS = "window", "clipped", "depth", "events"
"""Further ones: both ends of the time axis (`at`), values beyond the axis, and of flow()."""
QUARTER = "quarter"
"""The selection of flow(): the start of the step that was clicked, as ISO text."""
_HEIGHT = 220
FLOW_HEIGHT = 170
"""Height of the chart of flow(), legend and axis included."""
_HEIGHT_WITH_LEGEND = 280
_LEGEND = alt.Legend(orient="top", title=None, columns=3, labelLimit=260, offset=4)
_WIDE_LEGEND = alt.Legend(orient="top", title=None, columns=4, labelLimit=260, offset=4)
_LONG_LEGEND = alt.Legend(orient="top", title=None, columns=2, labelLimit=260, offset=4)
_TIMES = {
    "year": "%Y", "month": "%b %Y", "week": "%-d %b", "date": "%-d %b", "day": "%-d %b",
    "hours": "%H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S",
}  # fmt: skip
_CACHE_SIZE = 128
"""Number of specs. Bars need one for each combination of names."""

# Streamlit applies its own theme.
alt.theme.enable("none")


def _time_axis(step: Step) -> alt.X:
    """X axis of the column `at`: in the viewer's time zone, or UTC if a step is a day."""
    scale = alt.Scale(type="utc" if step == "day" else "time")
    axis = alt.Axis(format=_TIMES, labelOverlap=True, labelFlush=True, grid=False)
    if step == "day":
        axis.tickMinStep = 86_400_000
    return alt.X("at:T", title=None, scale=scale, axis=axis)


def _chart_of(dataset: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(dataset))


def _window(step: Step) -> alt.Chart:
    """Nothing to see: it makes the time axis reach from WINDOW's first row to its last."""
    mark: alt.Chart = _chart_of(WINDOW).mark_rule(opacity=0, aria=False)
    return mark.encode(x=_time_axis(step))


def _clipped(step: Step, unit: str) -> alt.Chart:
    """A triangle at the top of the axis for each value of CLIPPED that is beyond it."""
    mark: alt.Chart = (
        _chart_of(CLIPPED)
        .mark_point(shape="triangle-up", filled=True, size=50, color="gray", opacity=1, aria=False)
        .encode(
            x=_time_axis(step),
            y=alt.Y("drawn:Q", title=unit),
            tooltip=[alt.Tooltip("when:N", title=step), alt.Tooltip("words:N", title="above axis")],
        )
    )
    return mark


@lru_cache(_CACHE_SIZE)
def lines(
    names: tuple[str, ...],
    palette: tuple[str, ...],
    step: Step,
    unit: str,
    *,
    title: str,
    has_limit: bool = False,
) -> Spec:
    """Lines over time. FIGURES has the columns `at`, `line`, `drawn`, `words` and `when`.

    `palette` holds the colors of the lines in `names`; a repeated color is drawn dashed. If there
    are several lines, each is labeled at its end from NAMES (`line`, `at`, `place`). `unit` is the
    axis title, `title` the tooltip's label for a line. `has_limit` adds a dashed horizontal rule at
    LIMIT's `value`.
    """
    dashes = [
        [4, 3] if color_value in palette[:place] else [1, 0]
        for place, color_value in enumerate(palette)
    ]
    color = alt.Color("line:N", legend=None).scale(domain=names, range=palette)
    parts: list[alt.Chart] = [
        _window(step),
        _chart_of(FIGURES)
        # With points: a line alone would not show a single value between two gaps.
        .mark_line(point={"size": 16}, strokeWidth=2)
        .encode(
            x=_time_axis(step),
            y=alt.Y("drawn:Q", title=unit),
            color=color,
            strokeDash=alt.StrokeDash("line:N", legend=None).scale(domain=names, range=dashes),
            tooltip=[
                alt.Tooltip("when:N", title=step),
                alt.Tooltip("line:N", title=title),
                alt.Tooltip("words:N", title=unit),
            ],
        ),
        _clipped(step, unit),
    ]
    if len(names) > 1:
        parts.append(
            _chart_of(NAMES)
            .mark_text(align="left", dx=6, fontWeight=600)
            .encode(x=_time_axis(step), y=alt.Y("place:Q", title=unit), text="line:N", color=color)
        )
    if has_limit:
        parts.append(
            _chart_of(LIMIT).mark_rule(strokeDash=[4, 4]).encode(y=alt.Y("value:Q", title=unit))
        )
    return alt.LayerChart(layer=parts, height=_HEIGHT).to_dict()


@lru_cache(_CACHE_SIZE)
def bars(
    by: str,
    counted: str,
    names: tuple[str, ...],
    palette: tuple[str, ...],
    step: Step,
    axis: Step,
) -> Spec:
    """Stacked bars over time. FIGURES has the columns `at`, `until`, `when`, `opacity`, `place`,
    `drawn` (the bar height) and those named by `by` (the stack's categories) and `counted`.

    `palette` holds the colors of the categories in `names`. `axis` is the step of the time axis.
    """
    color = alt.Color(f"{by}:N", title=None).scale(domain=names, range=palette)
    stack = (
        _chart_of(FIGURES)
        .mark_bar(orient="vertical")
        .encode(
            x=_time_axis(axis),
            x2="until:T",
            y=alt.Y("drawn:Q", title=f"{counted} per {step}", stack="zero").axis(tickMinStep=1),
            color=color.legend(_LEGEND if len(names) < 4 else _LONG_LEGEND),
            order="place:Q",
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=[
                alt.Tooltip("when:N", title=step),
                alt.Tooltip(f"{by}:N"),
                alt.Tooltip(f"{counted}:Q", format=","),
            ],
        )
    )
    parts = [_window(axis), stack, _clipped(axis, f"{counted} per {step}")]
    return alt.LayerChart(layer=parts, height=_HEIGHT_WITH_LEGEND).to_dict()


@lru_cache(_CACHE_SIZE)
def flow(
    names: tuple[str, ...], palette: tuple[str, ...], depth: str, event: str, count: str
) -> Spec:
    """Bars of the jobs that arrived and ended in each step, the depth of the queue as a line, and
    events along the upper edge. A click on a bar selects its QUARTER.

    FIGURES has the columns `at`, `until`, `name` (one of `names`, in the colors of `palette`),
    `jobs`, `drawn`, `place`, `when` and `quarter`; DEPTH `at`, `depth`, `drawn`, `top` (of the
    axis) and `when`; EVENTS `at`, `until`, `kind`, `symbol` and `words`. `depth` and `event` are
    colors, `count` is the title of the axis.
    """
    x = _time_axis("hour")
    color = alt.Color("name:N").scale(domain=names, range=palette)
    select = alt.selection_point(name=QUARTER, fields=[QUARTER], toggle=False)
    bars = (
        _chart_of(FIGURES)
        .mark_bar(orient="vertical", cursor="pointer")
        .encode(
            x=x,
            x2="until:T",
            y=alt.Y("drawn:Q", title=count, stack="zero").axis(
                tickMinStep=1, tickCount=4, format=",d"
            ),
            color=color.legend(_LEGEND if len(names) < 4 else _WIDE_LEGEND),
            order="place:Q",
            opacity=alt.value(1),
            tooltip=[
                alt.Tooltip("when:N", title="from"),
                alt.Tooltip("name:N", title="jobs"),
                alt.Tooltip("jobs:Q", title="number", format=","),
            ],
        )
        .add_params(select)
    )
    line = (
        _chart_of(DEPTH)
        .mark_line(interpolate="step-after", strokeWidth=1.5, color=depth, aria=False)
        .encode(
            x=x,
            y=alt.Y("drawn:Q", title="pending + running").axis(
                orient="right",
                grid=False,
                tickMinStep=1,
                tickCount=4,
                format=",d",
                titleColor=depth,
            ),
            tooltip=[
                alt.Tooltip("when:N", title="from"),
                alt.Tooltip("depth:Q", title="pending and running", format=","),
            ],
        )
    )
    room = _chart_of(DEPTH).mark_rule(opacity=0, aria=False).encode(x=x, y="top:Q")
    tooltip = [alt.Tooltip("kind:N", title="event"), alt.Tooltip("words:N", title=" ")]
    look: dict[str, Any] = {"color": event, "aria": False}
    events = _chart_of(EVENTS).encode(x=x, y=alt.value(4), tooltip=tooltip)
    spec: Spec = (
        alt.layer(
            alt.layer(_window("hour"), bars, _clipped("hour", count)),
            alt.layer(line, room),
            events.mark_rule(strokeWidth=3, opacity=0.6, **look).encode(x2="until:T"),
            events.mark_text(align="center", fontSize=13, **look).encode(text="symbol:N"),
        )
        .resolve_scale(y="independent")
        .properties(height=FLOW_HEIGHT, padding=0)
        .to_dict()
    )
    return spec


@lru_cache(_CACHE_SIZE)
def area(step: Step, unit: str, title: str, color: str) -> Spec:
    """A stepped area over time. FIGURES has the columns `at`, `value`, `drawn` and `when`.

    `unit` is the axis title, `title` the tooltip's label.
    """
    surface = (
        _chart_of(FIGURES)
        .mark_area(interpolate="step-after", line={"color": color}, color=color, opacity=0.3)
        .encode(
            x=_time_axis(step),
            y=alt.Y("drawn:Q", title=unit).axis(tickMinStep=1),
            tooltip=[
                alt.Tooltip("when:N", title="at"),
                alt.Tooltip("value:Q", title=title, format=","),
            ],
        )
    )
    parts = [_window(step), surface, _clipped(step, unit)]
    return alt.LayerChart(layer=parts, height=_HEIGHT).to_dict()


@lru_cache(_CACHE_SIZE)
def distribution(names: tuple[str, str], palette: tuple[str, str]) -> Spec:
    """Two histograms of durations on a logarithmic axis: the first of the two `names` as bars,
    the second as outlines.

    FIGURES has the columns `period` (one of the names), `first` and `to_seconds` (the bounds of a
    bin), `percent`, and for tooltips `range` and `jobs`.
    """
    x = alt.X("first:Q", title="seconds").scale(type="log", nice=False)
    color = alt.Color("period:N", legend=_LEGEND).scale(domain=names, range=palette)
    base = _chart_of(FIGURES).encode(
        x=x,
        x2="to_seconds:Q",
        y=alt.Y("percent:Q", title="% of jobs"),
        color=color,
        tooltip=[
            alt.Tooltip("period:N"),
            alt.Tooltip("range:N"),
            alt.Tooltip("percent:Q", title="% of jobs", format=".1f"),
            alt.Tooltip("jobs:Q", format=","),
        ],
    )
    first, second = (base.transform_filter(alt.datum.period == name) for name in names)
    return (
        alt.layer(
            first.mark_bar(orient="vertical", opacity=0.6),
            second.mark_bar(orient="vertical", filled=False, strokeWidth=1.5),
        )
        .properties(height=_HEIGHT_WITH_LEGEND)
        .to_dict()
    )
