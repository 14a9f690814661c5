"""Images as files: named by what they are, never by what somebody says they are."""

from io import BytesIO
from uuid import uuid4

import pytest
from PIL import Image

from lib.resources import image_storage
from lib.settings import parse
from lib.storage import NotAnImage
from lib.storage.local import LocalStorage


def encoded(form):
    buffer = BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize(("form", "ending"), [("PNG", "png"), ("WEBP", "webp"), ("JPEG", "jpg")])
async def test_keeps_an_image_under_its_own_ending(tmp_path, form, ending):
    id = uuid4()
    stored = await LocalStorage(tmp_path, "http://app").save(id, encoded(form))
    assert stored.path == f"{id}.{ending}"
    assert stored.url == f"http://app/images/{id}.{ending}"
    assert (tmp_path / stored.path).read_bytes() == encoded(form)


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "/images/a.png"),
        ({"DARKROOM_URL": "https://darkroom.example/"}, "https://darkroom.example/images/a.png"),
    ],
)
def test_the_address_depends_on_the_settings_alone(tmp_path, values, url):
    settings = parse({"DARKROOM_DATA": str(tmp_path)} | values)
    assert image_storage(settings).url_for("a.png") == url


@pytest.mark.parametrize("content", [b"", b"<svg onload=alert(1)>", encoded("GIF")])
async def test_keeps_nothing_else(tmp_path, content):
    with pytest.raises(NotAnImage):
        await LocalStorage(tmp_path, "http://app").save(uuid4(), content)
    assert list(tmp_path.iterdir()) == []


def test_a_path_never_leads_out_of_the_folder(tmp_path):
    outside = tmp_path / "secret.png"
    outside.write_bytes(b"secret")
    storage = LocalStorage(tmp_path / "images", "http://app")
    for path in ("../secret.png", str(outside)):
        with pytest.raises(FileNotFoundError):
            storage.read(path)
        assert not storage.delete(path)
    assert outside.exists()
