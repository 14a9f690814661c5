"""Store images in a Supabase Storage bucket."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO

import anyio
import httpx
from PIL import Image
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from lib.storage.contract import ImageRefused, StorageError, StorageFailed, StoredImage
from lib.storage.images import MEDIA_TYPES, check_image, thumbnail_path

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20.0
MESSAGE_LENGTH = 500
"""A proxy's error page may be long."""
REFUSALS = ("413", "415")
"""HTTP statuses for one file: larger than the bucket allows, or of another type."""
PROBE = "darkroom-probe.png"
CACHE_SECONDS = "60"
"""How long browsers keep an image, so that a removed one is gone soon."""


class SupabaseStorage:
    """Images in one bucket, public or with signed URLs."""

    def __init__(self, supabase_url: str, secret_key: str, bucket: str, url_seconds: int) -> None:
        """`url_seconds` is the lifetime of signed URLs; 0 for a public bucket."""
        headers = {"apikey": secret_key, "Authorization": f"Bearer {secret_key}"}
        self._client = SyncStorageClient(
            f"{supabase_url}/storage/v1/",
            headers,
            http_client=httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True),
        )
        self._name = bucket
        self._bucket = self._client.from_(bucket)
        self._url_seconds = url_seconds

    async def save(self, name: str, image: bytes) -> StoredImage:
        checked = await check_image(image)
        path = f"{name}.{checked.extension}"
        await anyio.to_thread.run_sync(self._upload, path, image, MEDIA_TYPES[checked.extension])
        small = None
        if checked.thumbnail:
            try:
                await anyio.to_thread.run_sync(
                    self._upload, thumbnail_path(name), checked.thumbnail, MEDIA_TYPES["webp"]
                )
                small = thumbnail_path(name)
            except StorageError as error:
                logger.warning("The thumbnail of %s was not stored: %s", path, error)
        url = await anyio.to_thread.run_sync(self.url_for, path)
        return checked.stored(path, url, image, small)

    async def probe(self, size: int) -> None:
        # A small image, whatever the size: a bucket is full as a whole.
        await anyio.to_thread.run_sync(self._probe)

    def url_for(self, path: str) -> str:
        with self._translate_errors():
            if self._url_seconds:
                return str(self._bucket.create_signed_url(path, self._url_seconds)["signedURL"])
            return self._bucket.get_public_url(path)

    def urls_for(self, paths: Sequence[str]) -> dict[str, str]:
        if not self._url_seconds:
            return {path: self._bucket.get_public_url(path) for path in paths}
        if not paths:
            return {}
        with self._translate_errors():
            signed = self._bucket.create_signed_urls(list(paths), self._url_seconds)
            return {item["path"]: url for item in signed if (url := item["signedURL"])}

    def read(self, path: str) -> bytes:
        with self._translate_errors():
            return self._bucket.download(path)

    def delete(self, path: str) -> bool:
        with self._translate_errors():
            return bool(self._bucket.remove([path]))

    def _upload(self, path: str, image: bytes, content_type: str) -> None:
        try:
            with self._translate_errors():
                self._bucket.upload(
                    path,
                    image,
                    {
                        "content-type": content_type,
                        "cache-control": CACHE_SECONDS,
                        "upsert": "true",
                    },
                )
        except FileNotFoundError as error:
            raise StorageFailed(f"Supabase Storage has no such path: {error}") from None

    def _probe(self) -> None:
        pixel = BytesIO()
        Image.new("L", (1, 1)).save(pixel, "PNG")
        # A bucket that answers for this image alone takes others.
        with suppress(ImageRefused):
            self._upload(PROBE, pixel.getvalue(), MEDIA_TYPES["png"])
            self.delete(PROBE)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except StorageApiError as error:
            # Storage responds 400 with the real status in the body.
            status, message = str(error.status), str(error.message)[:MESSAGE_LENGTH]
            if status == "404" and "bucket" not in message.lower():
                raise FileNotFoundError(message) from None
            kind = ImageRefused if status in REFUSALS else StorageFailed
            raise kind(f"Supabase Storage, bucket {self._name!r}: {message} ({status}).") from None
        except httpx.HTTPError as error:
            raise StorageFailed(
                f"Supabase Storage does not respond ({type(error).__name__})."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise StorageFailed(
                "Supabase Storage sent an invalid response. Check that SUPABASE_URL is the URL"
                " of a project."
            ) from error
