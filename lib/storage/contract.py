"""The interface of image storages, and its errors."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


class StorageError(Exception):
    """An image was not stored; the message says why, without secrets. `code` names the kind."""

    code: str


class NotAnImage(StorageError):
    """The bytes are not an image that browsers show, or a damaged or enormous one."""

    code = "not_an_image"


class ImageRefused(StorageError):
    """The storage takes images, but not this one: it is too large or of another type."""

    code = "image_refused"


class StorageFailed(StorageError):
    """The storage takes no image now: its disk is full, or a request to it failed."""

    code = "storage_failed"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A stored image: `url` as of `Storage.url_for`, `path` within the storage."""

    url: str
    path: str


class Storage(Protocol):
    """A storage for images. Every method of a remote storage raises StorageFailed."""

    async def save(self, generation_id: UUID, image: bytes) -> StoredImage:
        """Store a PNG, JPEG, WebP, GIF or AVIF; saving a generation again replaces its image.

        Raises NotAnImage for anything else, whatever its declared content type, ImageRefused and
        StorageFailed.
        """

    async def probe(self, size: int) -> None:
        """Try whether an image of `size` bytes could be stored, and leave nothing.

        Raises StorageFailed.
        """

    def url_for(self, path: str) -> str:
        """The current URL of a stored image, for browsers; "/images/…" is relative to the app."""

    def read(self, path: str) -> bytes:
        """The bytes of a stored image. Raises FileNotFoundError."""

    def delete(self, path: str) -> bool:
        """Delete a stored image. False if it does not exist."""
