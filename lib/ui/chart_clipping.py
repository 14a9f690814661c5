"""Outliers of charts: cut off at the top of the axis, marked and named."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lib.formats import plural
from lib.ui.dashboard import time_zone

_LEAST_VALUES = 8
"""With fewer values none is an outlier."""
_OUTLIER_SHARE = 20
"""At most one value in this many is an outlier, and at least one may be."""
_OUTLIER_FACTOR = 4
"""An outlier is at least this many times the highest other value."""
_FEW_JOBS = 20
"""Counts up to this many jobs are never outliers."""
_HEADROOM = 1.5
"""The axis then ends at this multiple of the highest other value."""


@dataclass(frozen=True, slots=True)
class Clipped:
    """Figures with the column `drawn`, which ends at the axis; the rows `beyond` it (`at`, `drawn`,
    `when`, `words`); and a sentence about these."""

    figures: pd.DataFrame
    beyond: pd.DataFrame
    note: str = ""


def axis_end(values: pd.Series) -> float | None:
    """The end of an axis that leaves out the outliers; None if there are none."""
    known = values[values > 0].sort_values()
    if len(known) < _LEAST_VALUES:
        return None
    highest_other = known.iloc[-1 - max(1, len(known) // _OUTLIER_SHARE)]
    if known.iloc[-1] <= _OUTLIER_FACTOR * highest_other:
        return None
    return float(_HEADROOM * highest_other)


def clip(
    figures: pd.DataFrame,
    values: pd.Series,
    format_value: Callable[[float], str],
    *,
    at_least: float = 0,
) -> Clipped:
    """Clip one value in each row. `figures` has the columns `at` and `when`; the axis may reach up
    to `at_least` in any case."""
    values = pd.to_numeric(values)
    end = axis_end(values)
    if end is None or values.max() <= at_least:
        return Clipped(figures.assign(drawn=values), _none(figures))
    end = max(end, at_least)
    is_beyond = values > end
    beyond = pd.DataFrame(
        {
            "at": figures["at"],
            "drawn": end,
            "when": figures["when"],
            "words": values.map(format_value, na_action="ignore"),
        }
    )[is_beyond]
    place = int(values.argmax())
    at = figures["at"].iloc[place].tz_convert(time_zone())
    note = (
        f"▲ {plural(int(is_beyond.sum()), 'value')} above {format_value(end)}: up to"
        f" {format_value(values.iloc[place])} ({at:%-d %b %H:%M})."
    )
    return Clipped(figures.assign(drawn=values.clip(upper=end)), beyond, note)


def clip_counts(figures: pd.DataFrame, jobs: pd.Series) -> Clipped:
    """Clip numbers of jobs, as clip does."""
    return clip(figures, jobs, lambda count: f"{count:,.0f}", at_least=_FEW_JOBS)


def clip_stacks(figures: pd.DataFrame, counted: str, by: str = "at") -> Clipped:
    """Clip stacked bars: all rows with the same value of `by` are one stack, of the column
    `counted`. Has the columns of clip."""
    stacks = figures.groupby(by)[counted].transform("sum")
    found = clip_counts(figures, stacks)
    # The parts of a stack shrink alike.
    drawn = figures[counted] * (found.figures["drawn"] / stacks).fillna(0)
    beyond = found.beyond.drop_duplicates("at")
    note = found.note.replace(plural(len(found.beyond), "value"), plural(len(beyond), "value"), 1)
    return Clipped(figures.assign(drawn=drawn), beyond, note)


def _none(figures: pd.DataFrame) -> pd.DataFrame:
    return figures[["at", "when"]].head(0).assign(drawn=0.0, words="")
