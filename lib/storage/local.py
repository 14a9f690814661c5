"""Store images as files in a folder."""

import os
from pathlib import Path
from uuid import UUID

import anyio

from lib.storage.contract import StoredImage, image_extension


class LocalStorage:
    """Images as files in a folder, served by the app under /images."""

    def __init__(self, folder: Path, public_url: str) -> None:
        """`public_url` is where browsers reach the app; empty: URLs are relative to any app."""
        self._folder = folder
        self._public_url = public_url
        folder.mkdir(parents=True, exist_ok=True)

    async def save(self, generation_id: UUID, image: bytes) -> StoredImage:
        path = f"{generation_id}.{image_extension(image)}"
        await anyio.to_thread.run_sync(self._write, path, image)
        return StoredImage(self.url_for(path), path)

    def url_for(self, path: str) -> str:
        return f"{self._public_url}/images/{path}"

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
        temporary = self._folder / f"{path}.{os.getpid()}.part"
        temporary.write_bytes(image)
        temporary.replace(self._folder / path)
