"""A curve of some values as a picture: no axes, and none of the code that draws charts."""

from collections.abc import Sequence
from urllib.parse import quote

WIDTH, HEIGHT, MARGIN = 240, 48, 3
"""Of the picture, which is then drawn as wide as its place."""


def picture(values: Sequence[float], color: str) -> str:
    """The address of an SVG image: the values side by side, from the lowest to the highest.

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
