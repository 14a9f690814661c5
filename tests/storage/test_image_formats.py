"""Which bytes are an image: nothing damaged, nothing that unpacks without end; and thumbnails."""

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
    assert (await images.check_image(image)).extension == extension
    for share in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(NotAnImage):
            await images.check_image(image[: int(len(image) * share)])


@pytest.mark.parametrize("form", images.EXTENSIONS)
async def test_a_damaged_image_is_no_other_error(form):
    image, chance = encoded(form), random.Random(20261130)
    for _ in range(60):
        damaged = bytearray(image)
        for _ in range(chance.randint(1, 20)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        # Some damage is in pixels or metadata alone.
        with suppress(NotAnImage):
            checked = await images.check_image(bytes(damaged))
            assert checked.extension == images.EXTENSIONS[form]


async def test_the_number_of_pixels_is_bounded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 30)
    assert (await images.check_image(encoded("PNG"))).extension == "png"
    with pytest.raises(NotAnImage, match="megapixels"):
        await images.check_image(encoded("PNG", (40, 31)))


async def thumbnail(image: bytes) -> Image.Image:
    made = (await images.check_image(image)).thumbnail
    assert made is not None
    opened = Image.open(io.BytesIO(made))
    assert opened.format == "WEBP"
    return opened


def saved(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1024, 1024), (512, 512)),
        ((1344, 768), (512, 293)),
        ((40, 30), (40, 30)),
        ((1, 9000), (1, 512)),
    ],
)
async def test_a_thumbnail_keeps_the_proportions_and_has_at_most_512_pixels(size, small):
    image = await thumbnail(saved(Image.new("RGB", size, "red"), "PNG"))
    assert image.size == small
    red, green, blue = image.convert("RGB").getpixel((0, 0))
    assert (red, green, blue) == pytest.approx((254, 0, 0), abs=4)


def grey(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.new("I", (600, 600), 128 * 256).convert("I;16")
    return Image.new("RGB", (600, 600), (128, 128, 128)).convert(mode)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *[(mode, "PNG") for mode in ("L", "LA", "P", "RGBA", "I;16", "1")],
        *[("CMYK", "JPEG"), ("L", "JPEG"), ("P", "GIF")],
    ],
)
async def test_every_kind_of_pixels_has_a_thumbnail(mode, form):
    image = await thumbnail(saved(grey(mode), form))
    mean = sum(image.convert("L").get_flattened_data()) / (512 * 512)
    assert mean == pytest.approx(128, abs=3)


async def test_a_thumbnail_is_turned_and_transparent_as_its_image():
    turned = Image.Exif()
    turned[0x112] = 6
    image = Image.new("RGB", (900, 300), "red")
    assert (await thumbnail(saved(image, "JPEG", exif=turned))).size == (171, 512)
    clear = await thumbnail(saved(Image.new("RGBA", (600, 600), (255, 0, 0, 0)), "PNG"))
    assert clear.convert("RGBA").getpixel((300, 300))[3] == 0


async def test_of_an_animation_the_first_frame_is_shown():
    first, second = Image.new("RGB", (600, 600), "red"), Image.new("RGB", (600, 600), "blue")
    image = await thumbnail(saved(first, "WEBP", save_all=True, append_images=[second]))
    assert not getattr(image, "is_animated", False)
    assert image.convert("RGB").getpixel((0, 0))[0] > 240


async def test_an_image_without_a_thumbnail_is_still_an_image(monkeypatch, caplog):
    def fail(_image: Image.Image) -> None:
        raise ValueError("no turning")

    monkeypatch.setattr(images.ImageOps, "exif_transpose", fail)
    assert await images.check_image(encoded("PNG")) == images.CheckedImage("png", (40, 30), None)
    assert "No thumbnail" in caplog.text
