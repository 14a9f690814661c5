"""Private images: in a folder that nothing serves, or in a bucket that only signed URLs open."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from storage_stand_in import Bucket, problem

from lib.storage import StorageFailed
from lib.storage.local import LocalStorage
from lib.storage.supabase import SupabaseStorage

KEY = "sb_secret_of_the_test_project"
NAME = "uploads/user/one"


def png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    return file.getvalue()


def fetched(url: str) -> httpx.Response:
    return httpx.get(url)


async def test_a_private_file_is_beside_the_folder_that_is_served(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "images", "http://app")
    stored = await storage.save(NAME, png())
    assert (stored.path, stored.url) == (f"{NAME}.png", "")
    assert (tmp_path / stored.path).read_bytes() == storage.read(stored.path) == png()
    assert list((tmp_path / "images").rglob("*")) == []
    assert storage.urls_for([stored.path]) == {}
    for path in ("uploads/../images/../secret", "uploads//etc/passwd", "uploads/../../x"):
        with pytest.raises(FileNotFoundError):
            storage.read(path)
    assert storage.delete(stored.path)
    assert storage.delete(str(stored.thumbnail_path))
    assert list((tmp_path / "uploads").iterdir()) == []


class Project:
    """The Storage of a project: a public bucket, and one that is created when it is needed."""

    def __init__(self) -> None:
        self.images = Bucket("images", KEY, public=True)
        self.uploads: Bucket | None = None
        self._buckets = Starlette(
            routes=[
                Route("/storage/v1/bucket/{id}", self._get),
                Route("/storage/v1/bucket", self._create, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/storage/v1/bucket"):
            await self._buckets(scope, receive, send)
            return
        private = "/images-uploads" in scope["path"]
        bucket = self.uploads if private and self.uploads else self.images
        await Starlette(routes=bucket.routes)(scope, receive, send)

    def _get(self, request: Request) -> Response:
        if self.uploads is None:
            return problem(404, "Bucket not found", "Bucket not found")
        now = "2026-01-01T00:00:00Z"
        name = request.path_params["id"]
        about = {"id": name, "name": name, "owner": "", "created_at": now, "updated_at": now}
        return JSONResponse(
            about
            | {"public": self.uploads.public, "file_size_limit": None, "allowed_mime_types": None}
        )

    async def _create(self, request: Request) -> Response:
        asked = await request.json()
        assert (asked["id"], asked["public"]) == ("images-uploads", False)
        self.uploads = Bucket(asked["id"], KEY, public=False)
        return JSONResponse({"name": asked["id"]})


@pytest.fixture
def project() -> Project:
    return Project()


@pytest.fixture
def storage(project: Project, eventually: Callable[..., Any]) -> Iterator[SupabaseStorage]:
    server = uvicorn.Server(uvicorn.Config(project, port=0, log_level="warning", lifespan="off"))
    thread = Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield SupabaseStorage(f"http://127.0.0.1:{port}", KEY, "images", 0)
    server.should_exit = True
    thread.join()


async def test_private_images_have_a_bucket_of_their_own(
    storage: SupabaseStorage, project: Project
) -> None:
    public, private = await storage.save("user/0", png()), await storage.save(NAME, png())
    assert project.uploads
    assert set(project.uploads.objects) == {"user/one.png", "user/one.thumbnail.webp"}
    assert set(project.images.objects) == {"user/0.png", "user/0.thumbnail.webp"}
    assert "/sign/images-uploads/" in private.url
    assert fetched(private.url).content == png()
    assert fetched(private.url.partition("?")[0].replace("/sign/", "/public/")).is_error
    urls = storage.urls_for([public.path, private.path])
    assert [fetched(urls[each.path]).content for each in (public, private)] == [png()] * 2
    assert storage.read(private.path) == png()
    assert storage.delete(private.path)
    assert set(project.uploads.objects) == {"user/one.thumbnail.webp"}


async def test_a_public_bucket_gets_no_uploads(storage: SupabaseStorage, project: Project) -> None:
    project.uploads = Bucket("images-uploads", KEY, public=True)
    with pytest.raises(StorageFailed, match="is public"):
        await storage.save(NAME, png())
    assert project.uploads.objects == {}
