"""Images in a bucket of a project's Storage, over real HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import Response
from storage_stand_in import Bucket, problem

from lib.storage import ImageRefused, NotAnImage, StorageFailed
from lib.storage.images import EXTENSIONS
from lib.storage.supabase import SupabaseStorage

KEY = "sb_secret_of_the_test_project"


def png(colour: str = "red") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def fetched(url: str) -> httpx.Response:
    return httpx.get(url)


@contextmanager
def served(bucket: Bucket, eventually: Callable[..., Any]) -> Iterator[str]:
    app = Starlette(routes=bucket.routes)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(params=["public", "private"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return Bucket("images", KEY, public=request.param == "public")


@pytest.fixture
def project(bucket: Bucket, eventually: Callable[..., Any]) -> Iterator[str]:
    with served(bucket, eventually) as url:
        yield url


@pytest.fixture
def storage(project: str, bucket: Bucket) -> SupabaseStorage:
    return SupabaseStorage(project, KEY, "images", 0 if bucket.public else 60)


async def test_what_is_kept_is_found_at_its_address(
    storage: SupabaseStorage, bucket: Bucket
) -> None:
    name = f"{uuid4()}/{uuid4()}/0"
    stored = await storage.save(name, png())
    assert stored.path == f"{name}.png"
    found = fetched(stored.url)
    assert (found.content, found.headers["content-type"]) == (png(), "image/png")
    assert fetched(storage.url_for(stored.path)).content == storage.read(stored.path) == png()
    assert KEY not in stored.url
    assert bucket.cached == {stored.path: "60", stored.thumbnail_path: "60"}

    again = await storage.save(name, png("blue"))
    assert storage.read(again.path) == png("blue")
    assert list(bucket.objects) == [again.path, again.thumbnail_path]
    assert bucket.objects[f"{name}.thumbnail.webp"][1] == "image/webp"

    assert storage.delete(again.path) is True
    assert storage.delete(again.path) is False
    assert storage.delete(f"{name}.thumbnail.webp") is True
    with pytest.raises(FileNotFoundError):
        storage.read(again.path)


@pytest.mark.parametrize(("form", "extension"), EXTENSIONS.items())
async def test_every_format_is_sent_with_its_type(
    storage: SupabaseStorage, form: str, extension: str
) -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, form)
    stored = await storage.save(str(uuid4()), buffer.getvalue())
    assert stored.path.endswith(f".{extension}")
    assert fetched(stored.url).headers["content-type"] == f"image/{form.lower()}"


async def test_a_private_image_has_no_lasting_address(storage: SupabaseStorage, bucket: Bucket):
    stored = await storage.save(str(uuid4()), png())
    bare = stored.url.partition("?")[0].replace("/sign/", "/public/")
    assert fetched(bare).is_success == bucket.public


async def test_many_addresses_cost_one_request(storage: SupabaseStorage, bucket: Bucket) -> None:
    kept = [await storage.save(str(uuid4()), png()) for _ in range(3)]
    paths = [str(stored.thumbnail_path) for stored in kept]
    bucket.signings = 0
    urls = storage.urls_for([*paths, "lost.webp"])
    assert bucket.signings == (0 if bucket.public else 1)
    assert set(urls) - {"lost.webp"} == set(paths)
    assert fetched(urls[paths[0]]).headers["content-type"] == "image/webp"
    # Of a public bucket addresses are not asked for.
    assert ("lost.webp" in urls) == bucket.public
    assert storage.urls_for([]) == {}


async def test_a_thumbnail_that_a_bucket_does_not_allow_is_left_out(
    storage: SupabaseStorage, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.allowed = {"image/png"}
    stored = await storage.save(str(uuid4()), png())
    assert (stored.thumbnail_path, list(bucket.objects)) == (None, [stored.path])
    assert fetched(stored.url).content == png()
    assert "mime type image/webp is not supported" in caplog.text
    assert KEY not in caplog.text


async def test_what_is_no_image_is_not_sent(storage: SupabaseStorage, bucket: Bucket) -> None:
    with pytest.raises(NotAnImage):
        await storage.save(str(uuid4()), b"<svg onload=alert(1)>")
    assert bucket.objects == {}


async def test_a_storage_that_refuses_says_why_without_the_key(
    storage: SupabaseStorage, bucket: Bucket, project: str
) -> None:
    for answer, said in [
        (Response(status_code=503, content="upstream" * 999), "503"),
        (Response(status_code=404, content='{"message": 1}'), "no such path"),
        (problem(402, "exceed_storage_size_quota", "This project is restricted"), "restricted"),
        (Response(status_code=200, content="<html>Sign in at the hotel's network"), "SUPABASE_URL"),
    ]:
        bucket.answer = answer
        with pytest.raises(StorageFailed, match=said) as caught:
            await storage.save(str(uuid4()), png())
        assert KEY not in str(caught.value)
        assert len(str(caught.value)) < 600
        with pytest.raises(StorageFailed, match=said):
            await storage.probe(20_000_000)
    bucket.answer = None
    other = SupabaseStorage(project, KEY, "other", 0)
    with pytest.raises(StorageFailed, match="bucket 'other': Bucket not found"):
        await other.save(str(uuid4()), png())
    with pytest.raises(StorageFailed, match="does not respond"):
        await SupabaseStorage("http://127.0.0.1:1", KEY, "images", 0).save(str(uuid4()), png())


async def test_an_image_that_a_bucket_does_not_allow_is_no_outage(
    storage: SupabaseStorage, bucket: Bucket
) -> None:
    for answer in [
        Response(status_code=413, content='{"message": 1}'),
        problem(413, "Payload too large", "The object exceeded the maximum allowed size"),
        problem(415, "invalid_mime_type", "mime type image/png is not supported"),
    ]:
        bucket.answer = answer
        with pytest.raises(ImageRefused, match="bucket 'images': "):
            await storage.save(str(uuid4()), png())
        await storage.probe(1)


async def test_a_probe_leaves_nothing(storage: SupabaseStorage, bucket: Bucket) -> None:
    await storage.probe(20_000_000)
    assert bucket.objects == {}
