"""Input images over HTTP: reading an upload's body, storing it, and showing it to its owner."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import IO
from uuid import UUID

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from lib.api.auth import Caller
from lib.api.errors import FunctionError, invalid_fields
from lib.api.images import HEADERS
from lib.database import AsyncPool, connected, load_async
from lib.generation.uploads import MAX_UPLOAD_BYTES, store_upload_async
from lib.storage import StorageError, StorageFailed
from lib.storage.contract import Storage
from lib.storage.images import MEDIA_TYPES

SPOOLED_BYTES = 2**20
"""What is larger waits on the disk until it is checked."""
MAX_RECEIVED = 20
"""Bodies of one server at a time; each may take as long as BodyLimit allows."""
FRAMING_BYTES = 2**16
"""What multipart/form-data may add to a file."""


class Uploads:
    """Uploads of one server, of which few are in memory at a time."""

    def __init__(self, pool: AsyncPool, storage: Storage) -> None:
        self._pool = pool
        self._storage = storage
        self._in_memory = asyncio.Semaphore(2)
        self._received = 0

    async def store(self, request: Request, user_id: UUID | None) -> Response:
        """Store the file in a request's body for a user. Raises FunctionError, DatabaseError."""
        if self._received >= MAX_RECEIVED:
            raise FunctionError(
                503,
                "too_many_uploads",
                "Too many files are being uploaded at the moment. Try again in a few seconds.",
                headers={"Retry-After": "5"},
            )
        self._received += 1
        try:
            return await self._store(request, user_id)
        finally:
            self._received -= 1

    async def _store(self, request: Request, user_id: UUID | None) -> Response:
        async with _body(request) as file, self._in_memory:
            content = await asyncio.to_thread(_content, file)
            try:
                stored = await store_upload_async(
                    self._pool, self._storage, user_id=user_id, source="app", content=content
                )
            except StorageFailed as error:
                raise _unavailable(error) from error
            except StorageError as error:
                raise invalid_fields(
                    f"file: {error}", [{"field": "file", "problem": str(error)}]
                ) from error
        return JSONResponse(
            {
                "success": True,
                "upload": stored.reference,
                "content_type": stored.content_type,
                "width": stored.width,
                "height": stored.height,
                "bytes": stored.bytes,
                "expires_at": stored.expires_at.isoformat(),
            }
        )

    async def show(self, request: Request, caller: Caller) -> Response:
        """An upload, or its thumbnail, for its owner and for holders of the secret key."""
        missing = FunctionError(404, "no_such_upload", "This user has no such upload.")
        try:
            upload_id = UUID(request.path_params["id"].removeprefix("upload:"))
        except ValueError:
            raise missing from None
        async with connected(self._pool) as connection:
            row = await load_async("uploads").upload(
                connection, id=upload_id, user_id=caller.user_id, every=caller.role == "service"
            )
        if row is None:
            raise missing
        thumbnail = row["thumbnail_path"] if "thumbnail" in request.query_params else None
        try:
            content = await asyncio.to_thread(self._storage.read, thumbnail or row["storage_path"])
        except FileNotFoundError:
            raise missing from None
        except StorageError as error:
            raise _unavailable(error) from error
        media_type = MEDIA_TYPES["webp"] if thumbnail else row["content_type"]
        headers = {**HEADERS, "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=media_type, headers=headers)


@asynccontextmanager
async def _body(request: Request) -> AsyncIterator[IO[bytes]]:
    """The file in a request's body: the whole of it, or the only part of multipart/form-data."""
    try:
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            async with request.form(max_files=1, max_fields=0) as form:
                files = [part for part in form.values() if isinstance(part, UploadFile)]
                if len(files) != 1:
                    raise FunctionError(400, "malformed", "Send one file.")
                yield files[0].file
            return
        with SpooledTemporaryFile(SPOOLED_BYTES) as file:
            async for chunk in request.stream():
                file.write(chunk)
            yield file
    except HTTPException as error:
        raise FunctionError(400, "malformed", f"Send one file: {error.detail}") from None
    except ClientDisconnect:
        raise FunctionError(400, "incomplete", "The request body is incomplete.") from None


def _content(file: IO[bytes]) -> bytes:
    """A file's content. Raises FunctionError if it is too large or empty."""
    file.seek(0)
    content = file.read(MAX_UPLOAD_BYTES + 1)
    if len(content) > MAX_UPLOAD_BYTES:
        limit = MAX_UPLOAD_BYTES // 2**20
        raise FunctionError(413, "too_large", f"The file is larger than {limit} MB.")
    if not content:
        raise FunctionError(400, "malformed", "Send the file as the request body.")
    return content


def _unavailable(error: StorageError) -> FunctionError:
    return FunctionError(503, "storage_unavailable", str(error), headers={"Retry-After": "5"})
