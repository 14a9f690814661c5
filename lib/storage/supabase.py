"""Images in a bucket of a Supabase project's Storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from mimetypes import types_map
from uuid import UUID

import anyio
import httpx
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from lib.storage.contract import StorageFailed, StoredImage, ending

TIMEOUT_SECONDS = 20.0


class SupabaseStorage:
    """Images of one bucket, public or with addresses that last for a while."""

    def __init__(self, supabase_url: str, secret_key: str, bucket: str, url_seconds: int) -> None:
        """`url_seconds` is how long an address lasts; 0 where the bucket is public."""
        headers = {"apikey": secret_key, "Authorization": f"Bearer {secret_key}"}
        self._client = SyncStorageClient(
            f"{supabase_url}/storage/v1/",
            headers,
            http_client=httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True),
        )
        self._name = bucket
        self._bucket = self._client.from_(bucket)
        self._url_seconds = url_seconds

    async def save(self, generation_id: UUID, image: bytes) -> StoredImage:
        kind = ending(image)
        path = f"{generation_id}.{kind}"
        await anyio.to_thread.run_sync(self._upload, path, image, types_map[f".{kind}"])
        return StoredImage(await anyio.to_thread.run_sync(self.address, path), path)

    def address(self, path: str) -> str:
        with self._answering():
            if self._url_seconds:
                return str(self._bucket.create_signed_url(path, self._url_seconds)["signedURL"])
            return self._bucket.get_public_url(path)

    def read(self, path: str) -> bytes:
        with self._answering():
            return self._bucket.download(path)

    def delete(self, path: str) -> bool:
        with self._answering():
            return bool(self._bucket.remove([path]))

    def _upload(self, path: str, image: bytes, kind: str) -> None:
        with self._answering():
            self._bucket.upload(path, image, {"content-type": kind, "upsert": "true"})

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except StorageApiError as error:
            # Storage says 400 with the real status inside.
            if str(error.status) == "404" and "bucket" not in error.message.lower():
                raise FileNotFoundError(error.message) from None
            raise StorageFailed(
                f"Supabase Storage, bucket {self._name!r}: {error.message} ({error.status})."
            ) from None
        except httpx.HTTPError as error:
            raise StorageFailed(
                f"Supabase Storage does not answer ({type(error).__name__})."
            ) from None
