"""Uploaded input images: checked, stored where nobody else can read them, deleted when expired."""

import asyncio
import logging
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from lib.database import AsyncPool, Pool, connected, load, load_async, translated
from lib.storage import PRIVATE, CheckedImage, ImageRefused, NotAnImage, Storage, StorageError
from lib.storage.images import MEDIA_TYPES, check_image, thumbnail_path

logger = logging.getLogger(__name__)

MAX_UPLOAD_BYTES, MAX_UPLOAD_PIXELS = 25 * 2**20, 50_000_000
ACCEPTED = frozenset({"png", "jpg", "webp", "gif"})
"""The formats that models read, by extension."""
MAX_DATA_URIS, MAX_DATA_URI_PIXELS = 20, 16_000_000
"""Of a request: a picture of many megapixels may have a few kilobytes."""
EXPIRED_AT_ONCE = 100
_DATA_URI = re.compile(r"data:image/[a-z]+;base64,([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
Source = Literal["app", "test"]
"""test: of an operator, for test runs, and not limited."""


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An upload: `reference` stands for it in inputs; width and height are in pixels."""

    reference: str
    content_type: str
    width: int
    height: int
    bytes: int
    expires_at: datetime
    """When it is deleted unless a generation uses it."""


def store_upload(
    pool: Pool, storage: Storage, *, user_id: UUID | None, content: bytes
) -> StoredUpload:
    """Check, store and record a file of a user, or of an operator for test runs (None).

    Raises NotAnImage and ImageRefused, whose messages are for the user, StorageFailed,
    DatabaseUnavailable, and QueryError with sqlstate DR430 (too many unused uploads) or 23503
    (unknown user).
    """
    draft = asyncio.run(_check(user_id, "app" if user_id else "test", content))
    sql = load("uploads")
    with translated(), pool.connection() as connection:
        expires_at = sql.record_upload(connection, **draft.row)
    try:
        asyncio.run(storage.save(draft.name, content, draft.checked))
    except StorageError:
        if _discarded(storage, draft):
            with translated(), pool.connection() as connection:
                sql.forget_uploads(connection, ids=[draft.id])
        raise
    return draft.stored(expires_at)


async def store_upload_async(
    pool: AsyncPool, storage: Storage, *, user_id: UUID | None, source: Source, content: bytes
) -> StoredUpload:
    """Do the same in an event loop."""
    draft = await _check(user_id, source, content)
    sql = load_async("uploads")
    async with connected(pool) as connection:
        expires_at = await sql.record_upload(connection, **draft.row)
    try:
        await storage.save(draft.name, content, draft.checked)
    except StorageError:
        if await asyncio.to_thread(_discarded, storage, draft):
            async with connected(pool) as connection:
                await sql.forget_uploads(connection, ids=[draft.id])
        raise
    return draft.stored(expires_at)


async def check_input_image(content: bytes, *, max_pixels: int = MAX_UPLOAD_PIXELS) -> CheckedImage:
    """Decode an image that a model is to read. Raises NotAnImage and ImageRefused."""
    if len(content) > MAX_UPLOAD_BYTES:
        raise ImageRefused(f"The file is larger than {MAX_UPLOAD_BYTES // 2**20} MB.")
    checked = await check_image(content, max_pixels=max_pixels)
    if checked.extension not in ACCEPTED:
        kind = checked.extension.upper()
        raise NotAnImage(f"Models do not read {kind} files. Send a PNG, JPEG, WebP or GIF.")
    return checked


async def data_uri_problems(parameters: Mapping[str, Any]) -> list[dict[str, str]]:
    """What decoding the data URIs in parameters finds; the database checks their form."""
    problems, decoded = [], 0
    for name, text in texts_of(parameters):
        uri = _DATA_URI.fullmatch(text)
        if uri is None:
            continue
        decoded += 1
        if decoded > MAX_DATA_URIS:
            words = f"exceeds the limit of {MAX_DATA_URIS} data URIs: upload the files instead"
            return [{"field": name, "problem": words}]
        try:
            await check_input_image(b64decode(uri[1]), max_pixels=MAX_DATA_URI_PIXELS)
        except (StorageError, ValueError) as error:
            problems.append({"field": name, "problem": str(error)})
    return problems


def texts_of(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in parameters, also in their lists, with the name of its parameter."""
    for name, value in parameters.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield name, item


async def delete_expired_uploads(pool: AsyncPool, storage: Storage) -> int:
    """Delete uploads that no generation uses, and return how many. Raises DatabaseError."""
    sql, count = load_async("uploads"), 0
    last: Mapping[str, Any] = {"expires_at": None, "id": None}
    while True:
        async with connected(pool) as connection:
            rows = sql.expired(
                connection,
                after_time=last["expires_at"],
                after_id=last["id"],
                limit=EXPIRED_AT_ONCE,
            )
            expired = [row async for row in rows]
        deleted = []
        for row in expired:
            try:
                for path in filter(None, (row["storage_path"], row["thumbnail_path"])):
                    await asyncio.to_thread(storage.delete, path)
            except (StorageError, OSError) as error:
                # The row stays, so that another run finds the file. The others do not wait for it.
                logger.warning("An expired upload was not deleted: %s", error)
            else:
                deleted.append(row["id"])
        if deleted:
            async with connected(pool) as connection:
                await sql.forget_uploads(connection, ids=deleted)
        count += len(deleted)
        if len(expired) < EXPIRED_AT_ONCE:
            return count
        last = expired[-1]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A checked file that is not stored yet."""

    id: UUID
    user_id: UUID | None
    source: Source
    bytes: int
    checked: CheckedImage

    @property
    def name(self) -> str:
        """Its path in the storage, without the extension."""
        owner = self.user_id or {"app": "anonymous", "test": "operators"}[self.source]
        return f"{PRIVATE}{owner}/{self.id}"

    @property
    def row(self) -> dict[str, Any]:
        """The arguments of record_upload."""
        width, height = self.checked.size or (0, 0)
        return {
            "id": self.id,
            "user_id": self.user_id,
            "source": self.source,
            "storage_path": f"{self.name}.{self.checked.extension}",
            "thumbnail_path": thumbnail_path(self.name) if self.checked.thumbnail else None,
            "content_type": MEDIA_TYPES[self.checked.extension],
            "width": width,
            "height": height,
            "bytes": self.bytes,
        }

    def stored(self, expires_at: datetime) -> StoredUpload:
        row = self.row
        return StoredUpload(
            f"upload:{self.id}",
            row["content_type"],
            row["width"],
            row["height"],
            self.bytes,
            expires_at,
        )


async def _check(user_id: UUID | None, source: Source, content: bytes) -> _Draft:
    return _Draft(uuid4(), user_id, source, len(content), await check_input_image(content))


def _discarded(storage: Storage, draft: _Draft) -> bool:
    """Delete what may have been stored of a file although storing it failed.

    False if that fails too: then its row is kept, so that the file is deleted once it has expired.
    """
    try:
        for path in filter(None, (draft.row["storage_path"], draft.row["thumbnail_path"])):
            storage.delete(path)
    except StorageError:
        return False
    return True
