"""Which bytes are an image: nothing damaged, and nothing that unpacks without end."""

import io
import random
from contextlib import suppress

import pytest
from PIL import Image

from lib.storage import NotAnImage, images


def encoded(form: str, size: tuple[int, int] = (40, 30), **options) -> bytes:
    buffer = io.BytesIO()
    noise = random.Random(7).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("form", "extension"), images.EXTENSIONS.items())
async def test_a_whole_image_is_one_and_a_cut_off_one_is_not(form, extension):
    image = encoded(form)
    assert await images.image_extension(image) == extension
    for share in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(NotAnImage):
            await images.image_extension(image[: int(len(image) * share)])


@pytest.mark.parametrize("form", images.EXTENSIONS)
async def test_a_damaged_image_is_no_other_error(form):
    image, chance = encoded(form), random.Random(20261130)
    for _ in range(60):
        damaged = bytearray(image)
        for _ in range(chance.randint(1, 20)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        # Some damage is in pixels or metadata alone.
        with suppress(NotAnImage):
            assert await images.image_extension(bytes(damaged)) == images.EXTENSIONS[form]


async def test_the_number_of_pixels_is_bounded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 30)
    assert await images.image_extension(encoded("PNG")) == "png"
    with pytest.raises(NotAnImage, match="megapixels"):
        await images.image_extension(encoded("PNG", (40, 31)))
