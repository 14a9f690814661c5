"""Store images as files in a folder."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import anyio

from lib.storage.contract import StorageFailed, StoredImage
from lib.storage.images import check_image, thumbnail_path

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

    async def save(self, name: str, image: bytes) -> StoredImage:
        checked = await check_image(image)
        path = f"{name}.{checked.extension}"
        await anyio.to_thread.run_sync(self._write, path, image)
        small = None
        if checked.thumbnail:
            # What is wrong is logged where it happens.
            with suppress(StorageFailed):
                await anyio.to_thread.run_sync(self._write, thumbnail_path(name), checked.thumbnail)
                small = thumbnail_path(name)
        return checked.stored(path, self.url_for(path), image, small)

    async def probe(self, size: int) -> None:
        await anyio.to_thread.run_sync(self._probe, size)

    def url_for(self, path: str) -> str:
        return f"{self._public_url}/images/{path}"

    def urls_for(self, paths: Sequence[str]) -> dict[str, str]:
        return {path: self.url_for(path) for path in paths}

    def read(self, path: str) -> bytes:
        return self._file(path).read_bytes()

    def delete(self, path: str) -> bool:
        try:
            file = self._file(path)
            file.unlink()
        except FileNotFoundError:
            return False
        # Of the generation and of the user, until one is not empty.
        with suppress(OSError):
            for folder in file.parents:
                if folder == self._folder.resolve():
                    break
                folder.rmdir()
        return True

    def _file(self, path: str) -> Path:
        """The file at a path. Raises FileNotFoundError if there is none in this folder."""
        # The path comes from the database: never follow it out of this folder.
        file = (self._folder / path).resolve()
        if not (file.is_relative_to(self._folder.resolve()) and file.is_file()):
            raise FileNotFoundError(path)
        return file

    def _write(self, path: str, image: bytes) -> None:
        with self._draft(Path(path).name) as draft:
            draft.write(image)
            draft.flush()
            target = self._folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(draft.name).replace(target)

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
