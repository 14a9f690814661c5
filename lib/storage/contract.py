"""What a storage of images does, wherever it keeps them."""

from dataclasses import dataclass
from io import BytesIO
from typing import Protocol
from uuid import UUID

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


def ending(image: bytes) -> str:
    """The ending of an image's file name, by what it is. Raises NotAnImage."""
    try:
        with Image.open(BytesIO(image), formats=list(ENDINGS)) as opened:
            return ENDINGS[opened.format or ""]
    except UnidentifiedImageError as error:
        raise NotAnImage("What the model made is no PNG, WebP or JPEG image.") from error
