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

from lib.storage.contract import PRIVATE, CheckedImage, StorageFailed, StoredImage
from lib.storage.images import check_image, stored_image, thumbnail_path

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
    """Images as files in a folder, served by the app under /images.

    Private ones are in a folder beside it that nothing serves.
    """

    def __init__(self, folder: Path, public_url: str) -> None:
        """`public_url` is where browsers reach the app; empty: URLs are relative to any app."""
        self._folder = folder
        self._private_folder = folder.parent / PRIVATE.rstrip("/")
        self._public_url = public_url
        # A folder that cannot be used now may be so again when an image comes.
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._delete_drafts()

    async def save(
        self, name: str, image: bytes, checked: CheckedImage | None = None
    ) -> StoredImage:
        checked = checked or await check_image(image)
        path = f"{name}.{checked.extension}"
        await anyio.to_thread.run_sync(self._write, path, image)
        small = None
        if checked.thumbnail:
            # What is wrong is logged where it happens.
            with suppress(StorageFailed):
                await anyio.to_thread.run_sync(self._write, thumbnail_path(name), checked.thumbnail)
                small = thumbnail_path(name)
        url = "" if path.startswith(PRIVATE) else self.url_for(path)
        return stored_image(checked, path, url, image, small)

    async def probe(self, size: int) -> None:
        await anyio.to_thread.run_sync(self._probe, size)

    def url_for(self, path: str) -> str:
        if path.startswith(PRIVATE):
            raise FileNotFoundError(path)
        return f"{self._public_url}/images/{path}"

    def urls_for(self, paths: Sequence[str]) -> dict[str, str]:
        return {path: self.url_for(path) for path in paths if not path.startswith(PRIVATE)}

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
                if folder in (self._folder.resolve(), self._private_folder.resolve()):
                    break
                folder.rmdir()
        return True

    def _file(self, path: str) -> Path:
        """The file at a path. Raises FileNotFoundError if there is none in this folder."""
        # The path comes from the database: never follow it out of this folder.
        root, inner = self._place(path)
        file = (root / inner).resolve()
        if not (file.is_relative_to(root.resolve()) and file.is_file()):
            raise FileNotFoundError(path)
        return file

    def _place(self, path: str) -> tuple[Path, str]:
        """The folder that a path is in, and the path within it."""
        if path.startswith(PRIVATE):
            return self._private_folder, path.removeprefix(PRIVATE)
        return self._folder, path

    def _write(self, path: str, image: bytes) -> None:
        root, inner = self._place(path)
        with self._draft(root, Path(path).name) as draft:
            draft.write(image)
            draft.flush()
            target = root / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(draft.name).replace(target)

    def _probe(self, size: int) -> None:
        with suppress(OSError):
            self._delete_drafts()
        with self._draft(self._folder, "probe") as draft:
            # Random, because a file system may compress.
            draft.write(os.urandom(size))

    @contextmanager
    def _draft(self, folder: Path, name: str) -> Iterator[BinaryIO]:
        """A file that is deleted at the end, unless it was renamed. Raises StorageFailed."""
        path = folder / f"{name}.{uuid4().hex}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("wb") as draft:
                    fcntl.flock(draft, fcntl.LOCK_EX)
                    yield draft
            finally:
                path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be written to: %s", folder, error)
            reason = REASONS.get(error.errno or 0)
            raise StorageFailed(
                reason or f"The images folder is not writable ({error.strerror})."
            ) from error

    def _delete_drafts(self) -> None:
        """Delete the drafts of processes that were killed. Raises OSError."""
        for path in (*self._folder.glob("*.part"), *self._private_folder.glob("*.part")):
            with suppress(OSError), path.open("r+b") as draft:
                # Fails as long as its writer lives.
                fcntl.flock(draft, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
