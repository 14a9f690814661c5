"""The interface of image storages, and its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

PRIVATE = "uploads/"
"""Files whose paths begin with it are never public, whatever the storage of images is."""


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
    """A stored image: `url` as of `Storage.url_for`, `path` within the storage.

    `width` and `height` are in pixels, None for an SVG that does not say; `bytes` is its size.
    `thumbnail_path` is a WebP of at most 512 pixels a side; None for an SVG, or if it could not be
    made or stored.
    """

    url: str
    path: str
    media_type: str
    width: int | None
    height: int | None
    bytes: int
    thumbnail_path: str | None


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """What is known of an image: its size in pixels as browsers show it, None if it has none.

    `thumbnail` is a WebP; None for an SVG, or if none could be made.
    """

    extension: str
    size: tuple[int, int] | None
    thumbnail: bytes | None


def output_folder(user_id: UUID | None, generation_id: UUID) -> str:
    """The folder of a generation's outputs; a bucket's policies can go by the user."""
    return f"{user_id or 'anonymous'}/{generation_id}"


class Storage(Protocol):
    """A storage for images. Every method of a remote storage raises StorageFailed."""

    async def save(
        self, name: str, image: bytes, checked: CheckedImage | None = None
    ) -> StoredImage:
        """Store a PNG, JPEG, WebP, GIF, AVIF or SVG with its thumbnail.

        `name` is its path without the extension, folders separated by "/"; `checked` is what
        check_image found, if it was called before. Saving under a name again replaces both files.
        Raises NotAnImage for anything else, whatever its declared content type, ImageRefused and
        StorageFailed; never because of the thumbnail.
        """

    async def probe(self, size: int) -> None:
        """Try whether an image of `size` bytes could be stored, and leave nothing.

        Raises StorageFailed.
        """

    def url_for(self, path: str) -> str:
        """The current URL of a stored image, for browsers; "/images/…" is relative to the app.

        Raises FileNotFoundError for a private one that has no URL in this storage.
        """

    def urls_for(self, paths: Sequence[str]) -> dict[str, str]:
        """Current URLs of stored images by path, in one request; without those known missing."""

    def read(self, path: str) -> bytes:
        """The bytes of a stored image. Raises FileNotFoundError."""

    def delete(self, path: str) -> bool:
        """Delete one stored file, an image or a thumbnail. False if it does not exist."""
