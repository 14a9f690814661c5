"""The simulator's images: as the prompt says, the same for the same seed, at every size."""

from io import BytesIO
from itertools import product

import pytest
from PIL import Image

from lib.provider.simulator.images import draw
from lib.provider.simulator.scenes import LAND_WORDS, LIGHT_WORDS, THING_WORDS

MODEL = "black-forest-labs/flux-schnell"


def drawn(prompt: str, seed: int = 1, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.open(BytesIO(draw(MODEL, prompt, seed, size, "png"))).convert("RGB")


def brightness(prompt: str) -> float:
    [level] = drawn(prompt).convert("L").resize((1, 1)).get_flattened_data()
    return float(level)


def test_the_same_seed_gives_the_same_image_and_another_does_not():
    assert drawn("a fox") == drawn("a fox")
    assert drawn("a fox") != drawn("a fox", seed=2)
    assert drawn("a fox") != drawn("a bear")


def test_the_prompt_decides_the_light_and_the_colours():
    assert brightness("a lake at night") < 90 < 130 < brightness("a lake at noon")
    red, green, blue = drawn("a red desert at night").resize((1, 1)).getpixel((0, 0))
    assert red > green
    assert red > blue


@pytest.mark.parametrize(
    "words", list(product(LAND_WORDS.values(), [*LIGHT_WORDS.values()][:2], ["snow", ""]))
)
def test_everything_that_prompts_name_can_be_drawn(words):
    land, light, snow = (pattern.partition("|")[0] for pattern in words)
    things = " ".join(pattern.partition("|")[0] for pattern in THING_WORDS.values())
    assert drawn(f"{land} {light} {snow} {things}").size == (64, 64)


@pytest.mark.parametrize("size", [(64, 2048), (2048, 64), (65, 67), (1024, 1024), (1400, 700)])
@pytest.mark.parametrize("prompt", ["", "\x00 <b>\U0001f98a</b> [hang]", "city neon " * 1000])
def test_images_of_every_size_and_prompt_are_drawn(size, prompt):
    assert drawn(prompt, size=size).size == size
