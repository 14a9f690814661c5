"""How charts are drawn, as Vega-Lite specifications.

Each is made once: Altair takes a while to make and check one, and from a refresh to the next only
figures change. Those come as datasets, by the names below.
"""

from functools import lru_cache
from typing import Any

import altair as alt

from lib.ui.time_range import Step

Spec = dict[str, Any]
"""A Vega-Lite specification; shared, so not to be changed."""

FIGURES, NAMES, LIMIT = "figures", "names", "limit"
"""The datasets: what is drawn, where the names of lines stand, the value of a limit."""
_HEIGHT = 220
_HEIGHT_WITH_LEGEND = 280
_LEGEND = alt.Legend(orient="top", title=None, columns=3, labelLimit=260, offset=4)
_LONG_LEGEND = alt.Legend(orient="top", title=None, columns=2, labelLimit=260, offset=4)
_TIMES = {
    "year": "%Y", "month": "%b %Y", "week": "%-d %b", "date": "%-d %b", "day": "%-d %b",
    "hours": "%H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S",
}  # fmt: skip
_KEPT = 128
"""Specifications; of bars there is one for each combination of names."""

# Streamlit's own theme does what Altair's would.
alt.theme.enable("none")


def _time_axis(step: Step) -> alt.X:
    """The column `at` as times in the viewer's time zone, days as those of UTC."""
    scale = alt.Scale(type="utc" if step == "day" else "time")
    axis = alt.Axis(format=_TIMES, labelOverlap=True, labelFlush=True, grid=False)
    if step == "day":
        axis.tickMinStep = 86_400_000
    return alt.X("at:T", title=None, scale=scale, axis=axis)


def _of(dataset: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(dataset))


@lru_cache(_KEPT)
def lines(
    names: tuple[str, ...],
    shades: tuple[str, ...],
    step: Step,
    unit: str,
    *,
    title: str,
    limited: bool = False,
) -> Spec:
    """Lines over time, of FIGURES with the columns `at`, `line`, `value`, `words` and `when`.

    `shades` are the colours of the lines called `names`; the second of a colour is dashed. Several
    have their names beside their ends, by NAMES with `line`, `at` and `place`. `unit` stands at the
    axis; `title` says in tooltips what the lines are. `limited` adds a dashed line across all, at
    the `value` in LIMIT.
    """
    dashes = [[4, 3] if shade in shades[:place] else [1, 0] for place, shade in enumerate(shades)]
    color = alt.Color("line:N", legend=None).scale(domain=names, range=shades)
    parts: list[alt.Chart] = [
        _of(FIGURES)
        # Points, since a line alone does not show a value between two gaps.
        .mark_line(point={"size": 16}, strokeWidth=2)
        .encode(
            x=_time_axis(step),
            y=alt.Y("value:Q", title=unit),
            color=color,
            strokeDash=alt.StrokeDash("line:N", legend=None).scale(domain=names, range=dashes),
            tooltip=[
                alt.Tooltip("when:N", title=step),
                alt.Tooltip("line:N", title=title),
                alt.Tooltip("words:N", title=unit),
            ],
        )
    ]
    if len(names) > 1:
        parts.append(
            _of(NAMES)
            .mark_text(align="left", dx=6, fontWeight=600)
            .encode(x=_time_axis(step), y=alt.Y("place:Q", title=unit), text="line:N", color=color)
        )
    if limited:
        parts.append(_of(LIMIT).mark_rule(strokeDash=[4, 4]).encode(y=alt.Y("value:Q", title=unit)))
    return alt.LayerChart(layer=parts, height=_HEIGHT).to_dict()


@lru_cache(_KEPT)
def bars(
    by: str,
    things: str,
    names: tuple[str, ...],
    shades: tuple[str, ...] | None,
    step: Step,
    axis: Step,
) -> Spec:
    """Stacked bars over time, of FIGURES with the columns `at`, `until`, `when`, `opacity`,
    `place` and those called `by` and `things`.

    `shades` are the colours of the values `names` of `by`, those of Streamlit if there are none;
    `axis` is the step of the time axis.
    """
    color = alt.Color(f"{by}:N", title=None)
    color = color.scale(domain=names, range=shades) if shades else color.scale(domain=names)
    spec: Spec = (
        _of(FIGURES)
        .mark_bar(orient="vertical")
        .encode(
            x=_time_axis(axis),
            x2="until:T",
            y=alt.Y(f"{things}:Q", title=f"{things} per {step}", stack="zero").axis(tickMinStep=1),
            color=color.legend(_LEGEND if shades else _LONG_LEGEND),
            order="place:Q",
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=[
                alt.Tooltip("when:N", title=step),
                alt.Tooltip(f"{by}:N"),
                alt.Tooltip(f"{things}:Q", format=","),
            ],
        )
        .properties(height=_HEIGHT_WITH_LEGEND)
        .to_dict()
    )
    return spec


@lru_cache(_KEPT)
def area(step: Step, unit: str, title: str) -> Spec:
    """A stepped area over time, of FIGURES with the columns `at`, `value` and `when`.

    `unit` stands at the axis, `title` in tooltips.
    """
    spec: Spec = (
        _of(FIGURES)
        .mark_area(interpolate="step-after", line=True, opacity=0.3)
        .encode(
            x=_time_axis(step),
            y=alt.Y("value:Q", title=unit).axis(tickMinStep=1),
            tooltip=[
                alt.Tooltip("when:N", title="at"),
                alt.Tooltip("value:Q", title=title, format=","),
            ],
        )
        .properties(height=_HEIGHT)
        .to_dict()
    )
    return spec


@lru_cache(_KEPT)
def distribution(names: tuple[str, str], shades: tuple[str, str]) -> Spec:
    """Shares over seconds on a logarithmic axis: as bars those of the first of the two `names`,
    as outlines those of the second.

    Of FIGURES with the columns `period` (one of the names), `first` and `to_seconds` (the ends of
    a bar), `percent`, and for tooltips `range` and `jobs`.
    """
    x = alt.X("first:Q", title="seconds").scale(type="log", nice=False)
    color = alt.Color("period:N", legend=_LEGEND).scale(domain=names, range=shades)
    base = _of(FIGURES).encode(
        x=x,
        x2="to_seconds:Q",
        y=alt.Y("percent:Q", title="% of the jobs"),
        color=color,
        tooltip=[
            alt.Tooltip("period:N"),
            alt.Tooltip("range:N"),
            alt.Tooltip("percent:Q", title="% of the jobs", format=".1f"),
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
