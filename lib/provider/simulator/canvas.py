"""A canvas of flat shapes with smooth edges, over a soft background."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

SUPERSAMPLED_SIDE = 1400
"""Larger images are drawn at their own size: at twice that, they would take too long."""
BACKGROUND_SIDE = 128
"""Longer side in pixels of the background before it is scaled up."""


class Canvas:
    """Shapes in units of the height: x from 0 to `aspect`, y from 0 (top) to 1."""

    def __init__(self, width: int, height: int) -> None:
        self.aspect = width / height
        self._size = (width, height)
        self._scale = 2 if max(width, height) <= SUPERSAMPLED_SIDE else 1
        self._unit = height * self._scale
        # One byte for a pixel; index 0 is transparent.
        self._layer = Image.new("P", (width * self._scale, height * self._scale), 0)
        self._draw = ImageDraw.Draw(self._layer)
        self._indices: dict[Colour, int] = {}

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        """Fill a polygon."""
        scaled = [(x * self._unit, y * self._unit) for x, y in points]
        self._draw.polygon(scaled, fill=self._index(colour))

    def rectangle(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill a rectangle whose top left corner is at x and y."""
        right, bottom = x + width, y + height
        self.polygon([(x, y), (right, y), (right, bottom), (x, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, squash: float = 1.0) -> None:
        """Fill a circle, or an ellipse whose height is its width times `squash`."""
        box = (x - radius, y - radius * squash, x + radius, y + radius * squash)
        self._draw.ellipse([value * self._unit for value in box], fill=self._index(colour))

    def on(
        self, top: Colour, horizon: Colour, ends: float, glow: Colour, sun: Point
    ) -> Image.Image:
        """The shapes on a sky that blends two colours down to the height `ends`, with a glow."""
        width, height = self._size
        shrink = BACKGROUND_SIDE / max(width, height)
        rows, columns = max(round(height * shrink), 2), max(round(width * shrink), 2)
        y, x = np.mgrid[0 : 1 : rows * 1j, 0 : self.aspect : columns * 1j]
        sky = _blend(np.array(top), np.array(horizon), (y / ends).clip(0, 1))
        halo = np.exp(-((x - sun[0]) ** 2 + (y - sun[1]) ** 2) / 0.09)
        sky = _blend(sky, np.array(glow), 0.55 * halo)
        small = Image.fromarray(sky.clip(0, 255).astype(np.uint8))
        image = small.resize(self._size, Image.Resampling.BICUBIC)
        self._layer.putpalette([0, 0, 0, *(part for colour in self._indices for part in colour)])
        self._layer.info["transparency"] = 0
        shapes = self._layer.convert("RGBA").reduce(self._scale)
        image.paste(shapes, mask=shapes)
        return image

    def _index(self, colour: Colour) -> int:
        return self._indices.setdefault(colour, min(len(self._indices) + 1, 255))


def mixed(under: Colour, over: Colour, share: float) -> Colour:
    """A colour between two; `share` is the weight of the second."""
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(under, over, strict=True))
    return red, green, blue


def _blend(
    under: NDArray[np.float64], over: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    weights = share[..., np.newaxis]
    return under * (1 - weights) + over * weights
