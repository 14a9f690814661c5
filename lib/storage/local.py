"""Store images as files in a folder."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import anyio

from lib.storage.contract import StorageFailed, StoredImage
from lib.storage.images import check_image, thumbnail_name

logger = logging.getLogger(__name__)

# Users see the error of their generation: no paths in it.
REASONS = {
    errno.ENOSPC: "The disk for images is full.",
    errno.EDQUOT: "The disk for images is over its quota.",
    errno.EROFS: "The disk for images is read-only.",
    errno.EACCES: "The worker has no write permission for the images folder.",
    errno.EPERM: "The worker has no write permission for the images folder.",
}


class LocalStorage:
    """Images as files in a folder, served by the app under /images."""

    def __init__(self, folder: Path, public_url: str) -> None:
        """`public_url` is where browsers reach the app; empty: URLs are relative to any app."""
        self._folder = folder
        self._public_url = public_url
        # A folder that cannot be used now may be so again when an image comes.
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._delete_drafts()

    async def save(self, generation_id: UUID, image: bytes) -> StoredImage:
        checked = await check_image(image)
        path = f"{generation_id}.{checked.extension}"
        await anyio.to_thread.run_sync(self._write, path, image)
        thumbnail_path = None
        if checked.thumbnail:
            # What is wrong is logged where it happens.
            with suppress(StorageFailed):
                name = thumbnail_name(generation_id)
                await anyio.to_thread.run_sync(self._write, name, checked.thumbnail)
                thumbnail_path = name
        return StoredImage(self.url_for(path), path, thumbnail_path)

    async def probe(self, size: int) -> None:
        await anyio.to_thread.run_sync(self._probe, size)

    def url_for(self, path: str) -> str:
        return f"{self._public_url}/images/{path}"

    def urls_for(self, paths: Sequence[str]) -> dict[str, str]:
        return {path: self.url_for(path) for path in paths}

    def read(self, path: str) -> bytes:
        return self._file(path).read_bytes()

    def delete(self, path: str) -> bool:
        file = self._file(path)
        existed = file.exists()
        file.unlink(missing_ok=True)
        return existed

    def _file(self, path: str) -> Path:
        # The path comes from the database: never follow it out of this folder.
        return self._folder / Path(path).name

    def _write(self, path: str, image: bytes) -> None:
        with self._draft(path) as draft:
            draft.write(image)
            draft.flush()
            Path(draft.name).replace(self._folder / path)

    def _probe(self, size: int) -> None:
        with suppress(OSError):
            self._delete_drafts()
        with self._draft("probe") as draft:
            # Random, because a file system may compress.
            draft.write(os.urandom(size))

    @contextmanager
    def _draft(self, name: str) -> Iterator[BinaryIO]:
        """A file that is deleted at the end, unless it was renamed. Raises StorageFailed."""
        path = self._folder / f"{name}.{uuid4().hex}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("wb") as draft:
                    fcntl.flock(draft, fcntl.LOCK_EX)
                    yield draft
            finally:
                path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be written to: %s", self._folder, error)
            reason = REASONS.get(error.errno or 0)
            raise StorageFailed(
                reason or f"The images folder is not writable ({error.strerror})."
            ) from error

    def _delete_drafts(self) -> None:
        """Delete the drafts of processes that were killed. Raises OSError."""
        for path in self._folder.glob("*.part"):
            with suppress(OSError), path.open("r+b") as draft:
                # Fails as long as its writer lives.
                fcntl.flock(draft, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
