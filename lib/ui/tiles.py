"""Tiles: a number, its change, a sparkline of the last day and a link to the details."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import pandas as pd
import streamlit as st

from lib.formats import number, signed_change
from lib.ui.navigation import link

WIDTH, HEIGHT, MARGIN = 240, 48, 3
"""Size of a sparkline's view box; it is scaled to the tile's width."""
CURVE_COLOR, MARKED_COLOR = "#808495", "#d64545"
"""Sparkline colors, legible in the light and the dark theme."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile, highlighted while `condition` (see lib.checks.health) holds.

    `delta` is the signed change or, if not `is_change`, a plain note. `page` is the file name of
    the page to link to, with `filters` in its URL. `format_value` formats the curve's values.
    """

    label: str
    value: str
    page: str | None
    help: str
    delta: str | int | None = None
    is_change: bool = True
    curve: Sequence[float] | None = None
    format_value: Callable[[float], str] = number
    filters: Mapping[str, str] = field(default_factory=dict)
    condition: str | None = None


def show(tiles: Iterable[Tile], conditions: Collection[str]) -> None:
    """Draw tiles side by side and highlight those whose condition is in `conditions`."""
    # Narrow enough for two columns on a phone.
    with st.grid(4, min_column_width=150, border=True):
        for tile in tiles:
            with st.container(height="stretch", gap="xxsmall"):
                _draw(tile, marked=tile.condition in conditions)


def _draw(tile: Tile, *, marked: bool) -> None:
    st.metric(
        tile.label,
        tile.value,
        tile.delta,
        delta_color="red" if marked else "gray",
        delta_arrow="auto" if tile.is_change else "off",
        help=tile.help,
        icon=":material/error:" if marked else None,
    )
    if tile.curve:
        # Not st.metric's sparklines: they take a new browser 250 ms and have no text alternative.
        color = MARKED_COLOR if marked else CURVE_COLOR
        st.image(
            sparkline(tile.curve, color), width="stretch", alt=describe_curve(tile, tile.curve)
        )
    if tile.page:
        link(tile.page, **tile.filters)


def describe_curve(tile: Tile, curve: Sequence[float]) -> str:
    """Text alternative for a tile's sparkline."""
    least, most, last = map(tile.format_value, (min(curve), max(curve), curve[-1]))
    return (
        f"{tile.label}: the curve of the last 24 hours runs from {least} to {most} and ends at"
        f" {last}."
    )


def difference(
    value: float | None, other: float | None, format_value: Callable[[float], str]
) -> str | int | None:
    """The signed difference of two numbers, formatted; None if either is missing.

    `format_value` formats the absolute difference.
    """
    if value is None or other is None:
        return None
    return signed_change(value - other, format_value(abs(value - other)))


def curve(values: pd.Series, last: float | None) -> list[float]:
    """The known values followed by `last`; empty with fewer than two points."""
    points = [*values.dropna()] + ([] if last is None else [last])
    return [round(point, 3) for point in points] if len(points) > 1 else []


def sparkline(values: Sequence[float], color: str) -> str:
    """A line through at least two values, as the data URI of an SVG image."""
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
