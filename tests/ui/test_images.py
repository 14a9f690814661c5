"""Addresses of images and thumbnails, wherever they are stored and served."""

import io
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from lib.ops.test_runs.submission import Invalid
from lib.settings import parse
from lib.storage import StorageFailed
from lib.ui import images
from lib.ui.parts import image_field

PROJECT = {
    "SUPABASE_URL": "https://abcdefghijklmnopqrst.supabase.co",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_of_the_test_project",
    "SUPABASE_SECRET_KEY": "sb_secret_of_the_test_project",
    "SUPABASE_STORAGE_BUCKET": "images",
    "SUPABASE_STORAGE_URL_SECONDS": "600",
}
FUNCTIONS = {"DARKROOM_FUNCTIONS_URL": "http://functions.example"}
PUBLIC = {"DARKROOM_URL": "https://darkroom.example"}


@pytest.fixture
def configure(monkeypatch):
    def configure(values):
        settings = parse(values)
        monkeypatch.setattr(images, "settings", lambda: settings)
        monkeypatch.setattr(images, "app_url", lambda: settings.public_url)

    return configure


def row(path="a.png", thumbnail="a.thumbnail.webp", url="/images/a.png"):
    return {"storage_path": path, "thumbnail_path": thumbnail, "image_url": url}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("/images/a.png", "http://functions.example/images/a.png"),
        ("http://127.0.0.1:8614/images/a.png", "http://127.0.0.1:8614/images/a.png"),
    ],
)
def test_an_image_of_another_service_is_found_there(configure, stored, shown):
    configure(FUNCTIONS)
    assert images.image_source({"storage_path": "a.png", "image_url": stored}) == shown


@pytest.mark.parametrize(
    ("values", "generation", "shown"),
    [
        (PUBLIC, row(), "https://darkroom.example/images/a.thumbnail.webp"),
        (PUBLIC, row(thumbnail=None), "https://darkroom.example/images/a.png"),
        # Nothing that this app did not store is loaded from elsewhere.
        (PUBLIC, row(None, None, "https://cdn.example/a.png"), None),
        (PUBLIC, row(None, None, None), None),
        (FUNCTIONS, row(), "http://functions.example/images/a.thumbnail.webp"),
        (FUNCTIONS, row(url="http://10.0.0.1/i/a.png"), "http://10.0.0.1/i/a.thumbnail.webp"),
        (FUNCTIONS, row(thumbnail=None), "http://functions.example/images/a.png"),
        (FUNCTIONS, row(None, None, None), None),
        (
            FUNCTIONS,
            row(thumbnail="//evil.example/a.webp"),
            "http://functions.example/images///evil.example/a.webp",
        ),
        (
            FUNCTIONS,
            row("u/g/0.png", "u/g/0.thumbnail.webp", "/images/u/g/0.png"),
            "http://functions.example/images/u/g/0.thumbnail.webp",
        ),
        # The signature is that of the image.
        (FUNCTIONS, row(url="https://s.example/a.png?token=1"), "https://s.example/a.png?token=1"),
    ],
)
def test_a_thumbnail_is_found_beside_its_image(configure, values, generation, shown):
    configure(values)
    assert images.thumbnail_sources([generation]) == [shown]


class Bucket:
    def __init__(self):
        self.asked = []
        self.works = True

    def urls_for(self, paths):
        self.asked.append(paths)
        if not self.works:
            raise StorageFailed("Supabase Storage does not respond.")
        return {
            path: f"https://bucket/{path}?{len(self.asked)}" for path in paths if path != "lost"
        }


@pytest.fixture
def bucket(configure, monkeypatch):
    configure(PROJECT)
    stored, clock = Bucket(), [1000.0]
    stored.clock = clock
    monkeypatch.setattr(images, "storage", lambda: stored)
    monkeypatch.setattr(images, "monotonic", lambda: clock[0])
    images._known_urls.clear()
    yield stored
    images._known_urls.clear()


def test_a_page_of_thumbnails_in_a_bucket_costs_one_request_and_the_next_draw_none(bucket):
    rows = [
        *[row(thumbnail=f"{n}.webp") for n in range(50)],
        row(thumbnail=None),
        row(thumbnail="lost"),
        row(None, None, "https://elsewhere/a.png"),
        row(None, None, None),
    ]
    urls = images.thumbnail_sources(rows)
    assert urls[0] == "https://bucket/0.webp?1"
    assert urls[50:] == ["https://bucket/a.png?1", None, None, None]
    assert len(bucket.asked) == 1

    # The same addresses, so that browsers do not load the images again.
    bucket.clock[0] += 299
    assert images.thumbnail_sources(rows) == urls
    assert images.thumbnail_sources(rows[3:4]) == urls[3:4]
    assert len(bucket.asked) == 1
    assert images.thumbnail_sources([row(thumbnail="new.webp")]) == ["https://bucket/new.webp?2"]
    bucket.clock[0] += 2
    assert images.thumbnail_sources(rows[:1]) == ["https://bucket/0.webp?3"]


def test_while_a_bucket_does_not_answer_pages_do_without_and_rarely_ask(bucket):
    bucket.works = False
    for _ in range(3):
        assert images.thumbnail_sources([row(), row(thumbnail="b.webp")]) == [None, None]
    assert len(bucket.asked) == 1
    bucket.works = True
    bucket.clock[0] += 31
    assert images.thumbnail_sources([row()]) == ["https://bucket/a.thumbnail.webp?2"]


def test_several_images_of_a_job_are_downloaded_as_one_archive(bucket):
    bucket.read = str.encode
    job = row("a/0.png") | {"model_id": "owner/model", "generation_id": "0123456789", "outputs": []}
    assert (images.file_name(job), images.image_file(job)) == ("model-01234567.png", b"a/0.png")
    job["outputs"] = [row(f"a/{n}.webp") for n in range(2)]
    assert images.file_name(job) == "model-01234567.zip"
    with zipfile.ZipFile(io.BytesIO(images.image_file(job))) as file:
        assert {name: file.read(name) for name in file.namelist()} == {
            "model-01234567-1.webp": b"a/0.webp",
            "model-01234567-2.webp": b"a/1.webp",
        }


@pytest.fixture
def functions(configure: Callable[..., None]) -> Iterator[str]:
    """A service on this computer that is set as that of the functions."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = self.path.partition("?to=")[2]
            self.send_response(302 if target else 200)
            self.send_header("Location", target)
            self.end_headers()
            self.wfile.write(b"" if target else b"image")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    configure({"DARKROOM_FUNCTIONS_URL": url})
    yield url
    server.shutdown()
    server.server_close()


def test_images_of_external_functions_are_read_from_their_server(functions: str) -> None:
    for stored in ("/images/a.png", f"{functions}/images/a.png", f"{functions}/?to=/images/a.png"):
        assert images.image_file(row(url=stored) | {"outputs": []}) == b"image"


def test_images_that_workers_serve_at_our_own_url_are_read_from_there(
    configure: Callable[..., None], functions: str
) -> None:
    configure(FUNCTIONS | {"DARKROOM_URL": functions})
    assert images.image_file(row(url=f"{functions}/images/a.png") | {"outputs": []}) == b"image"


@pytest.mark.parametrize(
    "stored",
    [
        "http://127.0.0.1:9/a.png",
        "http://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.7]/a.png",
        "//localhost:9/a.png",
        "/?to=http://127.0.0.1:9/a.png",
        "/?to=https://192.168.0.1/a.png",
        "http://8.8.8.8/a.png",
        "ftp://8.8.8.8/a.png",
        "file:///etc/passwd",
    ],
)
def test_no_stored_address_leads_elsewhere_into_our_network(functions: str, stored: str) -> None:
    with pytest.raises(StorageFailed, match=r"private network|not use https|not a web address"):
        images.image_file(row(url=stored) | {"outputs": []})


def test_files_that_the_workers_could_not_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_field, "settings", lambda: parse(FUNCTIONS))
    record = UploadedFileRec("1", "boat.png", "image/png", b"")
    with pytest.raises(Invalid, match="SUPABASE_STORAGE_BUCKET, or enter an image address"):
        image_field.stored({"image": [UploadedFile(record, FileURLs())]}, None)
