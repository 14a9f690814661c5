"""Where finished images are kept."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from uuid import UUID

import anyio
from PIL import Image, UnidentifiedImageError

# What models answer with, by Pillow's name and the file name's ending.
ENDINGS = {"PNG": "png", "WEBP": "webp", "JPEG": "jpg"}


class NotAnImage(Exception):
    """The bytes are no PNG, WebP or JPEG image."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A kept image: `url` for browsers, `path` within the storage."""

    url: str
    path: str


class LocalStorage:
    """Images as files of one folder, served by the app under /images."""

    def __init__(self, folder: Path, public_url: str) -> None:
        self._folder = folder
        self._public_url = public_url
        folder.mkdir(parents=True, exist_ok=True)

    async def save(self, generation_id: UUID, image: bytes) -> StoredImage:
        """Keeps a PNG, WebP or JPEG; saving a generation again replaces its image.

        Raises NotAnImage for anything else, whatever the provider called it.
        """
        path = f"{generation_id}.{_ending(image)}"
        await anyio.to_thread.run_sync(self._write, path, image)
        return StoredImage(f"{self._public_url}/images/{path}", path)

    def read(self, path: str) -> bytes:
        """A kept image. Raises FileNotFoundError."""
        return self._file(path).read_bytes()

    def delete(self, path: str) -> None:
        """Removes a kept image; one that is not there is no error."""
        self._file(path).unlink(missing_ok=True)

    def _file(self, path: str) -> Path:
        # The path comes from the database: it names a file in this folder and nothing else.
        return self._folder / Path(path).name

    def _write(self, path: str, image: bytes) -> None:
        draft = self._folder / f"{path}.{os.getpid()}.part"
        draft.write_bytes(image)
        draft.replace(self._folder / path)


def _ending(image: bytes) -> str:
    try:
        with Image.open(BytesIO(image), formats=list(ENDINGS)) as opened:
            return ENDINGS[opened.format or ""]
    except UnidentifiedImageError as error:
        raise NotAnImage("What the model made is no PNG, WebP or JPEG image.") from error
