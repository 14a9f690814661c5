"""Draw plausible images: a landscape with what the prompt names, different for every seed."""

import io
import random
from hashlib import sha256
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from lib.provider.simulator.canvas import Canvas, mixed
from lib.provider.simulator.lands import LANDS
from lib.provider.simulator.scenes import WHITE, Scene, land_at, scene_of
from lib.provider.simulator.things import THINGS

FORMATS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "jpg": {"format": "JPEG", "quality": 80},
    "jpeg": {"format": "JPEG", "quality": 80},
    "webp": {"format": "WEBP", "quality": 80, "method": 0},
}
"""How images are saved by extension: fast rather than small."""


def draw(model: str, prompt: str, seed: int, size: tuple[int, int], extension: str) -> bytes:
    """An image file of that size in pixels; deterministic."""
    image = draw_image(model, prompt, seed, *size)
    add_caption(image, prompt, model)
    file = io.BytesIO()
    image.save(file, **FORMATS[extension])
    return file.getvalue()


def draw_image(model: str, prompt: str, seed: int, width: int, height: int) -> Image.Image:
    """An image of width x height pixels; deterministic."""
    digest = sha256(f"{model}\n{seed}\n{prompt}".encode()).digest()
    chance = random.Random(int.from_bytes(digest))
    canvas = Canvas(width, height)
    scene = scene_of(prompt, chance, canvas.aspect)
    _draw(canvas, scene, chance)
    light = scene.light
    return canvas.on(light.top, light.horizon, scene.horizon, light.sun, scene.sun)


def _draw(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    """Draw a scene's shapes, from the sun to what is nearest."""
    light, (x, y) = scene.light, scene.sun
    if light.dark:
        for _ in range(90):
            star = mixed(light.top, WHITE, chance.choice((0.4, 0.6, 0.8)))
            at = chance.uniform(0, canvas.aspect), chance.uniform(0, scene.horizon)
            canvas.disc(*at, chance.uniform(0.001, 0.0026), star)
    radius = chance.uniform(0.05, 0.085)
    canvas.disc(x, y, radius, light.sun)
    if not light.dark:
        _birds(canvas, scene, chance)
    LANDS[scene.land](canvas, scene, chance)
    for thing in scene.things:
        THINGS[thing](canvas, scene, chance)


def _birds(canvas: Canvas, scene: Scene, chance: random.Random) -> None:
    colour = land_at(scene, 0.6)
    x, y = canvas.aspect * chance.uniform(0.1, 0.8), scene.horizon * chance.uniform(0.2, 0.5)
    for _ in range(chance.randint(0, 5)):
        a, b, wing = x + chance.uniform(0, 0.16), y + chance.uniform(0, 0.09), 0.012
        canvas.polygon(
            [(a - wing, b - wing * 0.6), (a, b), (a + wing, b - wing * 0.6), (a, b + wing * 0.3)],
            colour,
        )


def add_caption(image: Image.Image, prompt: str, model: str) -> None:
    """Write the prompt and the model at the bottom of an image."""
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
