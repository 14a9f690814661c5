"""Figures: a number, a note, a badge, a sparkline of the last day and a link to the details."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

import streamlit as st

from lib.checks.health import Level
from lib.formats import number
from lib.ui.navigation import link

WIDTH, HEIGHT, MARGIN = 240, 30, 3
"""Size of a sparkline's view box; it is scaled to the width it gets."""
CURVE_COLORS = {"good": "#808495", "warning": "#b3701c", "critical": "#d64545"}
"""Sparkline colors, legible in the light and the dark theme."""
BADGES: Mapping[Level, tuple[str, Literal["green", "orange", "red"]]] = {
    "good": ("normal", "green"),
    "warning": ("warning", "orange"),
    "critical": ("critical", "red"),
}
"""Word and color of each level."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure.

    `page` is the file name of the page to link to, with `filters` in its URL. `note` compares the
    value with something, `help` explains it. `format_value` formats the curve's values.
    """

    label: str
    value: str
    note: str
    page: str
    help: str
    level: Level = "good"
    curve: Sequence[float] = ()
    format_value: Callable[[float], str] = number
    filters: Mapping[str, str] = field(default_factory=dict)


def show(tiles: Iterable[Tile]) -> None:
    """Draw figures side by side."""
    # Narrow enough for two columns on a phone.
    with st.grid(5, min_column_width=150, border=True):
        for tile in tiles:
            with st.container(height="stretch", gap="xxsmall"):
                _draw(tile)


def _draw(tile: Tile) -> None:
    word, color = BADGES[tile.level]
    with st.container(horizontal=True, horizontal_alignment="distribute", gap="xxsmall"):
        link(tile.page, f"{tile.label} ›", icon=None, **tile.filters)
        st.badge(word, color=color, help=tile.help)
    st.metric(
        tile.label,
        tile.value,
        tile.note,
        delta_color="off",
        delta_arrow="off",
        label_visibility="collapsed",
    )
    if tile.curve:
        # Not st.metric's sparklines: they take a new browser 250 ms and have no text alternative.
        st.image(
            sparkline(tile.curve, CURVE_COLORS[tile.level]),
            width="stretch",
            alt=describe_curve(tile),
        )


def describe_curve(tile: Tile) -> str:
    """Text alternative for a figure's sparkline."""
    least, most, last = map(tile.format_value, (min(tile.curve), max(tile.curve), tile.curve[-1]))
    return f"{tile.label}, last 24 hours: {least} to {most}, {last} now."


def curve(values: Iterable[float | None], last: float | None) -> list[float]:
    """The known values followed by `last`; empty with fewer than two points."""
    points = [round(point, 3) for point in (*values, last) if point is not None]
    return points if len(points) > 1 else []


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
