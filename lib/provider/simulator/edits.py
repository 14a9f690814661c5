"""Draw outputs that show which image they were made from."""

import io
import re
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw

from lib.provider.simulator.images import FORMATS, add_caption, draw_image
from lib.provider.simulator.models import Model

MAX_PIXELS = 36_000_000
"""Of an upscaled image: a larger one would take too long."""
MAX_EDIT_SIDE = 2048
SHARE = 0.4
"""How much of an edited image is new, where the input does not say."""
STRENGTHS = ("prompt_strength", "strength")


def draw_from(
    base: Image.Image,
    model: Model,
    input: Mapping[str, Any],
    seed: int,
    size: tuple[int, int],
    extension: str,
) -> bytes:
    """An image file made from another: larger, without its background, or blended with a scene.

    `size` counts for an edit whose input asks for an aspect ratio.
    """
    if re.search("upscale|esrgan", model.id):
        image = _upscaled(base, _factor(model, input))
    elif "remove" in model.id:
        image = _cut_out(base)
    else:
        image = _edited(base, model, input, seed, size)
    file = io.BytesIO()
    image.convert("RGBA" if extension == "png" else "RGB").save(file, **FORMATS[extension])
    return file.getvalue()


def _factor(model: Model, input: Mapping[str, Any]) -> float:
    for name in ("scale", "upscale_factor"):
        if name in model.inputs:
            found = re.match(r"[\d.]+", str(input.get(name, model.inputs[name]["default"])))
            return max(float(found[0]), 1) if found else 1
    return 2


def _upscaled(base: Image.Image, factor: float) -> Image.Image:
    most = (MAX_PIXELS / (base.width * base.height)) ** 0.5
    scale = max(min(factor, most), 1)
    return base.resize((round(base.width * scale), round(base.height * scale)))


def _cut_out(base: Image.Image) -> Image.Image:
    """What is in the middle of an image; all around it is transparent."""
    mask = Image.new("L", base.size, 0)
    width, height = base.size
    box = (width * 0.1, height * 0.1, width * 0.9, height * 0.9)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    image = base.convert("RGBA")
    image.putalpha(mask)
    return image


def _edited(
    base: Image.Image, model: Model, input: Mapping[str, Any], seed: int, size: tuple[int, int]
) -> Image.Image:
    if "image" in input or ":" not in str(input.get("aspect_ratio", "")):
        size = base.size
    scale = min(MAX_EDIT_SIDE / max(size), 1)
    width, height = (max(round(side * scale), 16) for side in size)
    prompt = str(input.get("prompt") or "")
    given = next((input[name] for name in STRENGTHS if input.get(name) is not None), SHARE)
    scene = draw_image(model.id, prompt, seed, width, height).convert("RGB")
    image = Image.blend(base.convert("RGB").resize((width, height)), scene, float(given) * 0.6)
    add_caption(image, prompt, model.id)
    return image
