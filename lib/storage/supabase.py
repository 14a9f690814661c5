"""Store images in a Supabase Storage bucket, and private ones in another beside it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO

import anyio
import httpx
from PIL import Image
from storage3 import SyncStorageClient
from storage3._sync.file_api import SyncBucketProxy
from storage3.exceptions import StorageApiError

from lib.storage.contract import (
    PRIVATE,
    CheckedImage,
    ImageRefused,
    StorageError,
    StorageFailed,
    StoredImage,
)
from lib.storage.images import MEDIA_TYPES, check_image, stored_image, thumbnail_path

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20.0
MESSAGE_LENGTH = 500
"""A proxy's error page may be long."""
REFUSALS = ("413", "415")
"""HTTP statuses for one file: larger than the bucket allows, or of another type."""
PROBE = "darkroom-probe.png"
CACHE_SECONDS = "60"
"""How long browsers keep an image, so that a removed one is gone soon."""
PRIVATE_URL_SECONDS = 3600
"""Lifetime of signed URLs of private images where the other ones are public."""


class SupabaseStorage:
    """Images in one bucket, public or with signed URLs.

    Private ones are in the bucket `<bucket>-uploads`, which is created when the first one comes.
    """

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
        self._private_name = f"{bucket}-{PRIVATE.rstrip('/')}"
        self._private_is_ready = False
        self._url_seconds = url_seconds

    async def save(
        self, name: str, image: bytes, checked: CheckedImage | None = None
    ) -> StoredImage:
        checked = checked or await check_image(image)
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
        return stored_image(checked, path, url, image, small)

    async def probe(self, size: int) -> None:
        # A small image, whatever the size: a bucket is full as a whole.
        await anyio.to_thread.run_sync(self._probe)

    def url_for(self, path: str) -> str:
        bucket, inner = self._place(path)
        with self._translate_errors():
            if path.startswith(PRIVATE) or self._url_seconds:
                seconds = self._url_seconds or PRIVATE_URL_SECONDS
                return str(bucket.create_signed_url(inner, seconds)["signedURL"])
            return bucket.get_public_url(path)

    def urls_for(self, paths: Sequence[str]) -> dict[str, str]:
        private = [path for path in paths if path.startswith(PRIVATE)]
        others = [path for path in paths if not path.startswith(PRIVATE)]
        if not self._url_seconds:
            urls = {path: self._bucket.get_public_url(path) for path in others}
        else:
            urls = self._signed_urls(others)
        return urls | self._signed_urls(private)

    def read(self, path: str) -> bytes:
        bucket, inner = self._place(path)
        with self._translate_errors():
            return bucket.download(inner)

    def delete(self, path: str) -> bool:
        bucket, inner = self._place(path)
        with self._translate_errors():
            return bool(bucket.remove([inner]))

    def _place(self, path: str) -> tuple[SyncBucketProxy, str]:
        """The bucket that a path is in, and the path within it."""
        if path.startswith(PRIVATE):
            return self._client.from_(self._private_name), path.removeprefix(PRIVATE)
        return self._bucket, path

    def _signed_urls(self, paths: Sequence[str]) -> dict[str, str]:
        """Signed URLs of paths that are all in the same bucket."""
        if not paths:
            return {}
        bucket = self._place(paths[0])[0]
        inner = {self._place(path)[1]: path for path in paths}
        with self._translate_errors():
            seconds = self._url_seconds or PRIVATE_URL_SECONDS
            signed = bucket.create_signed_urls(list(inner), seconds)
            return {inner[item["path"]]: url for item in signed if (url := item["signedURL"])}

    def _require_private_bucket(self) -> None:
        """Create the bucket of private images, unless there is one. Raises StorageFailed."""
        if self._private_is_ready:
            return
        try:
            public = self._client.get_bucket(self._private_name).public
        except StorageApiError as error:
            if "not found" not in str(error.message).lower():
                raise
            self._client.create_bucket(self._private_name, options={"public": False})
            public = False
        if public:
            raise StorageFailed(
                f"Supabase Storage, bucket {self._private_name!r}: it is public, but uploads are"
                " private. Make it private."
            )
        self._private_is_ready = True

    def _upload(self, path: str, image: bytes, content_type: str) -> None:
        bucket, inner = self._place(path)
        try:
            with self._translate_errors():
                if path.startswith(PRIVATE):
                    self._require_private_bucket()
                bucket.upload(
                    inner,
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
