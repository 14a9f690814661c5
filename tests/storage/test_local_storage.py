"""Images as files: named by what they are, never by what somebody says they are."""

import fcntl
import shutil
import subprocess
from io import BytesIO
from uuid import uuid4

import pytest
from PIL import Image

from lib.resources import image_storage
from lib.settings import parse
from lib.storage import NotAnImage, StorageFailed
from lib.storage.images import EXTENSIONS
from lib.storage.local import LocalStorage


def encoded(form):
    buffer = BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, form)
    return buffer.getvalue()


def files(folder):
    """The paths of all files in a folder and those below."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("form", "ending"), list(EXTENSIONS.items()))
async def test_keeps_an_image_under_its_own_ending(tmp_path, form, ending):
    stored = await LocalStorage(tmp_path, "http://app").save("user/one/0", encoded(form))
    assert stored.path == f"user/one/0.{ending}"
    assert stored.url == f"http://app/images/user/one/0.{ending}"
    assert (tmp_path / stored.path).read_bytes() == encoded(form)
    assert stored.thumbnail_path == "user/one/0.thumbnail.webp"
    assert (stored.media_type, stored.bytes) == (f"image/{form.lower()}", len(encoded(form)))
    assert (stored.width, stored.height) == (8, 8)
    assert files(tmp_path) == {stored.path, stored.thumbnail_path}
    storage = LocalStorage(tmp_path, "http://app")
    assert storage.urls_for([stored.path]) == {stored.path: stored.url}
    assert storage.delete(stored.thumbnail_path)
    assert storage.delete(stored.path)
    assert not storage.delete(stored.path)
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("content", [b"", b"<svg onload=alert(1)>", encoded("TIFF")])
async def test_keeps_nothing_else(tmp_path, content):
    with pytest.raises(NotAnImage):
        await LocalStorage(tmp_path, "http://app").save(str(uuid4()), content)
    assert list(tmp_path.iterdir()) == []


def test_a_path_never_leads_out_of_the_folder(tmp_path):
    outside = tmp_path / "secret.png"
    outside.write_bytes(b"secret")
    storage = LocalStorage(tmp_path / "images", "http://app")
    for path in ("../secret.png", "user/../../secret.png", str(outside), "", "."):
        with pytest.raises(FileNotFoundError):
            storage.read(path)
        assert not storage.delete(path)
    assert outside.exists()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, with room for two images of 1 MB."""
    folder = tmp_path / "images"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("Only root can mount a small disk.")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_is_said_and_keeps_no_drafts(small_disk):
    storage = LocalStorage(small_disk, "http://app")
    image = encoded("PNG") + bytes(1_000_000)
    kept = [await storage.save(str(uuid4()), image) for _ in range(2)]
    for _ in range(3):
        with pytest.raises(StorageFailed, match=r"^The disk for images is full\.$"):
            await storage.save(str(uuid4()), image)
        with pytest.raises(StorageFailed, match="full"):
            await storage.probe(len(image))
    await storage.probe(1)
    left = {path for stored in kept for path in (stored.path, stored.thumbnail_path)}
    assert {path.name for path in small_disk.iterdir()} == left
    assert storage.delete(kept[0].path)
    await storage.probe(len(image))
    assert len(list(small_disk.iterdir())) == 3
    await storage.save(str(uuid4()), image)


async def test_a_disk_without_room_for_the_thumbnail_keeps_the_image(small_disk):
    storage = LocalStorage(small_disk, "http://app")
    image = encoded("PNG").ljust(2500 * 1024, b"\0")
    stored = await storage.save(str(uuid4()), image)
    assert stored.thumbnail_path is None
    assert [path.name for path in small_disk.iterdir()] == [stored.path]


async def test_a_folder_that_cannot_be_used_may_be_so_later(tmp_path):
    folder = tmp_path / "images"
    folder.write_text("not a folder")
    storage = LocalStorage(folder, "http://app")
    with pytest.raises(StorageFailed, match="is not writable") as caught:
        await storage.save(str(uuid4()), encoded("PNG"))
    assert str(tmp_path) not in str(caught.value)
    folder.unlink()
    await storage.probe(1)
    await storage.save(str(uuid4()), encoded("PNG"))


@pytest.mark.parametrize("finds", ["the next process", "a probe"])
async def test_drafts_of_killed_processes_are_deleted_and_of_living_ones_kept(tmp_path, finds):
    storage = LocalStorage(tmp_path, "")

    async def find():
        if finds == "a probe":
            await storage.probe(1)
        else:
            LocalStorage(tmp_path, "")

    draft = tmp_path / "an image.png.part"
    with draft.open("wb") as written:
        # As its writer does; the system takes the lock from one that is killed.
        fcntl.flock(written, fcntl.LOCK_EX)
        await find()
        assert draft.exists()
    await find()
    assert list(tmp_path.iterdir()) == []
