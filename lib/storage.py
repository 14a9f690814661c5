"""Where finished images are kept."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol
from uuid import UUID

import anyio
from PIL import Image, UnidentifiedImageError

# What models answer with, by Pillow's name and the file name's ending.
ENDINGS = {"PNG": "png", "WEBP": "webp", "JPEG": "jpg"}


class StorageError(Exception):
    """An image was not kept; the message says why, without a secret. `code` names the kind."""

    code: str


class NotAnImage(StorageError):
    """The bytes are no PNG, WebP or JPEG image."""

    code = "not_an_image"


class StorageFailed(StorageError):
    """The storage did not do what it was asked."""

    code = "storage_failed"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A kept image: `url` for browsers, `path` within the storage."""

    url: str
    path: str


class Storage(Protocol):
    """Where images are kept. All raise StorageFailed, where it is not this computer."""

    async def save(self, generation_id: UUID, image: bytes) -> StoredImage:
        """Keeps a PNG, WebP or JPEG; saving a generation again replaces its image.

        Raises NotAnImage for anything else, whatever the provider called it.
        """

    def address(self, path: str) -> str:
        """Where browsers find a kept image now."""

    def read(self, path: str) -> bytes:
        """A kept image. Raises FileNotFoundError."""

    def delete(self, path: str) -> bool:
        """Removes a kept image. False when it is not there."""


class LocalStorage:
    """Images as files of one folder, served by the app under /images."""

    def __init__(self, folder: Path, public_url: str) -> None:
        self._folder = folder
        self._public_url = public_url
        folder.mkdir(parents=True, exist_ok=True)

    async def save(self, generation_id: UUID, image: bytes) -> StoredImage:
        path = f"{generation_id}.{ending(image)}"
        await anyio.to_thread.run_sync(self._write, path, image)
        return StoredImage(self.address(path), path)

    def address(self, path: str) -> str:
        return f"{self._public_url}/images/{path}"

    def read(self, path: str) -> bytes:
        return self._file(path).read_bytes()

    def delete(self, path: str) -> bool:
        file = self._file(path)
        there = file.exists()
        file.unlink(missing_ok=True)
        return there

    def _file(self, path: str) -> Path:
        # The path comes from the database: it names a file in this folder and nothing else.
        return self._folder / Path(path).name

    def _write(self, path: str, image: bytes) -> None:
        draft = self._folder / f"{path}.{os.getpid()}.part"
        draft.write_bytes(image)
        draft.replace(self._folder / path)


def ending(image: bytes) -> str:
    """The ending of an image's file name, by what it is. Raises NotAnImage."""
    try:
        with Image.open(BytesIO(image), formats=list(ENDINGS)) as opened:
            return ENDINGS[opened.format or ""]
    except UnidentifiedImageError as error:
        raise NotAnImage("What the model made is no PNG, WebP or JPEG image.") from error
