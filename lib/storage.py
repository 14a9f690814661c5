"""Where finished images are kept."""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import anyio


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
        """Keeps a PNG; saving a generation again replaces its image."""
        path = f"{generation_id}.png"
        await anyio.to_thread.run_sync(self._write, path, image)
        return StoredImage(f"{self._public_url}/images/{path}", path)

    def _write(self, path: str, image: bytes) -> None:
        draft = self._folder / f"{path}.{os.getpid()}.part"
        draft.write_bytes(image)
        draft.replace(self._folder / path)
