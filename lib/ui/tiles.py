"""Tiles: a number, what changed, its last day as a curve, and the page that says more."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import pandas as pd
import streamlit as st

from lib.formats import change, number
from lib.ui.navigation import link

WIDTH, HEIGHT, MARGIN = 240, 48, 3
"""Of the picture, which is then drawn as wide as its place."""
CURVE, MARKED = "#808495", "#d64545"
"""Colours of curves, seen on light and on dark."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What a tile shows. It is marked while the condition `sign` (see lib.checks.health) holds.

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
        st.image(sparkline(tile.curve, color), width="stretch", alt=in_words(tile, tile.curve))
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


def sparkline(values: Sequence[float], color: str) -> str:
    """A curve of the values as the data URI of an SVG image, without axes.

    Takes at least two values.
    """
    low, high = min(values), max(values)
    across = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    heights = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    points = " ".join(
        f"{MARGIN + place * across:.1f},{MARGIN + (1 - height) * (HEIGHT - 2 * MARGIN):.1f}"
        for place, height in enumerate(heights)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}"><polyline points="{points}" fill="none"'
        f' stroke="{color}" stroke-width="2" stroke-linejoin="round"/></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"
