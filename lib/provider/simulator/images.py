"""Draw plausible images: hills under a coloured sky, different for every prompt."""

import colorsys
import io
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CANVAS_SIDE = 320
"""Longer side in pixels while painting: fast, and soft shapes scale up well."""

Pixels = NDArray[np.float64]


FORMATS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "jpg": {"format": "JPEG", "quality": 80},
    "jpeg": {"format": "JPEG", "quality": 80},
    "webp": {"format": "WEBP", "quality": 80, "method": 0},
}
"""How images are saved by extension: fast rather than small."""


def draw(model: str, prompt: str, seed: int, size: tuple[int, int], extension: str) -> bytes:
    """An image file of that size in pixels; deterministic."""
    width, height = size
    digest = sha256(f"{model}\n{seed}\n{prompt}".encode()).digest()
    draws = np.random.default_rng(int.from_bytes(digest))
    scale = CANVAS_SIDE / max(width, height)
    canvas = _paint(draws, max(round(width * scale), 2), max(round(height * scale), 2))
    small = Image.fromarray((canvas.clip(0, 1) * 255).astype(np.uint8))
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    _caption(image, prompt, model)
    file = io.BytesIO()
    image.save(file, **FORMATS[extension])
    return file.getvalue()


def _paint(draws: np.random.Generator, width: int, height: int) -> Pixels:
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    x = x * width / height
    hue = draws.random()
    top, bottom, light, dark = (
        _colour(hue + draws.uniform(-0.06, 0.06), 0.65, 0.45),
        _colour(hue + draws.choice([0.08, -0.12, 0.45]), 0.50, 0.98),
        _colour(hue + draws.choice([0.10, -0.10, 0.50]), 0.22, 1.00),
        _colour(hue + draws.uniform(-0.15, 0.15), 0.75, 0.14),
    )
    horizon = draws.uniform(0.45, 0.65)
    canvas = _mix(top, bottom, (y / horizon).clip(0, 1))
    aspect = width / height
    for _ in range(draws.integers(3, 7)):
        glow = _spot(x, y, draws.uniform(0, aspect), draws.uniform(0, horizon), 0.25)
        canvas = _mix(canvas, light, 0.22 * glow)
    sun_x, sun_y = draws.uniform(0.2, 0.8) * aspect, draws.uniform(0.15, horizon)
    canvas = _mix(canvas, light, 0.6 * _spot(x, y, sun_x, sun_y, 0.22))
    disc = np.hypot(x - sun_x, y - sun_y) - draws.uniform(0.05, 0.1)
    canvas = _mix(canvas, light, _edge(disc, height))
    ridges = draws.integers(4, 7)
    for ridge in range(ridges):
        nearness = (ridge + 1) / ridges
        base = horizon + (0.95 - horizon) * nearness**1.3 - 0.06
        line = base + _ridge(draws, x, 0.03 + 0.06 * nearness)
        colour = _mix(bottom, dark, np.array(0.25 + 0.75 * nearness))
        canvas = _mix(canvas, colour, _edge(line - y, height))
    return canvas


def _colour(hue: float, saturation: float, value: float) -> Pixels:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _mix(under: Pixels, over: Pixels, share: Pixels) -> Pixels:
    """Blend two colours or canvases; `share` (one value per pixel) is the weight of the second."""
    share = share[..., np.newaxis]
    return under * (1 - share) + over * share


def _spot(x: Pixels, y: Pixels, at_x: float, at_y: float, radius: float) -> Pixels:
    distance = (x - at_x) ** 2 + (y - at_y) ** 2
    soft: Pixels = np.exp(-distance / radius**2)
    return soft


def _edge(outside: Pixels, height: int) -> Pixels:
    """1 inside a shape, 0 outside, with an antialiased edge about two pixels wide."""
    return (0.5 - outside * height / 2).clip(0, 1)


def _ridge(draws: np.random.Generator, x: Pixels, roughness: float) -> Pixels:
    line = np.zeros_like(x)
    for octave in range(5):
        wave = np.sin(x * draws.uniform(2, 4) * 2**octave + draws.uniform(0, 2 * np.pi))
        line = line + roughness * wave / 2**octave
    return line


def _caption(image: Image.Image, prompt: str, model: str) -> None:
    size = max(image.width // 64, 9)
    font = ImageFont.load_default(size)
    text = " ".join(f"{prompt} · {model}".split())[:400]
    room = image.width - 2 * size
    if font.getlength(text) > room:
        while text and font.getlength(f"{text}…") > room:
            text = text[:-1]
        text = f"{text}…"
    at = (size, image.height - 2 * size)
    ImageDraw.Draw(image).text(at, text, (255, 255, 255), font, stroke_width=1, stroke_fill=0)
