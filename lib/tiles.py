"""Tiles: a number, what changed, its last day as a curve, and the page that says more."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from lib.formats import change, number
from lib.navigation import link
from lib.sparkline import picture

CURVE, MARKED = "#808495", "#d64545"
"""Colours of curves, seen on light and on dark."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What a tile shows. It is marked while the condition `sign` (see lib.health) holds.

    `delta` is what changed, with its sign, or where it `changes` nothing a mere remark. `page` is
    the file of the page to link to, with `filters` in its URL. `written` puts a value of the curve
    into words.
    """

    label: str
    value: str
    page: str | None
    help: str
    delta: str | int | None = None
    changes: bool = True
    curve: Sequence[float] | None = None
    written: Callable[[float], str] = number
    filters: Mapping[str, str] = field(default_factory=dict)
    sign: str | None = None


def show(tiles: Iterable[Tile], signs: Collection[str]) -> None:
    """Draws tiles side by side and marks those whose sign is among `signs`."""
    # At least two beside each other on a phone.
    with st.grid(4, min_column_width=150, border=True):
        for tile in tiles:
            with st.container(height="stretch", gap="xxsmall"):
                _draw(tile, marked=tile.sign in signs)


def _draw(tile: Tile, *, marked: bool) -> None:
    st.metric(
        tile.label,
        tile.value,
        tile.delta,
        delta_color="red" if marked else "gray",
        delta_arrow="auto" if tile.changes else "off",
        help=tile.help,
        icon=":material/error:" if marked else None,
    )
    if tile.curve:
        # Not by st.metric, whose curves take a new browser a quarter of a second and have no
        # text alternative.
        color = MARKED if marked else CURVE
        st.image(picture(tile.curve, color), width="stretch", alt=in_words(tile, tile.curve))
    if tile.page:
        link(tile.page, **tile.filters)


def in_words(tile: Tile, curve: Sequence[float]) -> str:
    """The curve of a tile for who does not see it."""
    least, most, last = map(tile.written, (min(curve), max(curve), curve[-1]))
    return (
        f"{tile.label}: the curve of the last 24 hours runs from {least} to {most} and ends at"
        f" {last}."
    )


def difference(
    value: float | None, other: float | None, written: Callable[[float], str]
) -> str | int | None:
    """By how much a number differs from another; None where there is nothing to compare.

    `written` puts a size without its sign into words.
    """
    if value is None or other is None:
        return None
    return change(value - other, written(abs(value - other)))


def curve(values: pd.Series, last: float | None) -> list[float]:
    """The values that there are, and the last one; empty where that makes no line."""
    points = [*values.dropna()] + ([] if last is None else [last])
    return [round(point, 3) for point in points] if len(points) > 1 else []
