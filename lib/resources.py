"""The database, keys, provider and storage that the settings select."""

import asyncio

import httpx

from lib.database import embedded
from lib.provider import Provider, ProviderError
from lib.provider.contract import DOWNLOAD_SECONDS
from lib.provider.files import OutputFiles
from lib.provider.providers import connect
from lib.provider.replicate.client import Replicate
from lib.provider.simulator.connection import published_url, shared_token
from lib.settings import Settings
from lib.settings.keys import Keys, local_keys
from lib.storage import Storage, StorageFailed
from lib.storage.local import LocalStorage
from lib.storage.supabase import SupabaseStorage

LOCAL_URL = "http://127.0.0.1:8501"
"""Default URL of the app."""


def database_url(settings: Settings) -> str:
    """The URL of the database in use, starting the embedded one if needed.

    Raises DatabaseError, whose message says what to do.
    """
    return settings.database_url or embedded.start(settings.data / "postgres").url


def project_keys(settings: Settings) -> Keys:
    """The configured keys, or locally generated ones if none are configured."""
    if not (settings.publishable_keys and settings.secret_keys):
        settings.data.mkdir(parents=True, exist_ok=True)
        return local_keys(settings.data)
    return Keys(
        publishable=settings.publishable_keys[0],
        secret=settings.secret_keys[0],
        jwt_secret=settings.jwt_secret,
        # With keys of one family only, the first is also the last.
        legacy_publishable=settings.publishable_keys[-1],
        legacy_secret=settings.secret_keys[-1],
    )


def jwks_url(settings: Settings) -> str | None:
    """URL of the public keys that verify the project's user tokens; None without a project."""
    root = settings.supabase_url
    return f"{root}/auth/v1/.well-known/jwks.json" if root else None


def provider(settings: Settings, server: tuple[str, str] | None = None) -> Provider | None:
    """A client of the provider that runs the jobs, for single requests that are not repeated.

    `server` is the provider and address of a server of one's own. None if this process cannot ask
    the provider: its token is only known to functions elsewhere, or the simulator does not run.
    Raises ProviderError for an unusable token.
    """
    if server is not None:
        return connect(*server)
    token, url = settings.replicate_token, settings.replicate_url
    if not token and not settings.functions_elsewhere:
        folder = settings.data / "replicate"
        if url := published_url(folder):
            token = shared_token(folder)
    if not token:
        return None
    return Replicate(token, url, max_wait=0) if url else Replicate(token, max_wait=0)


def image_elsewhere(settings: Settings, address: str) -> bytes:
    """An image at an address that external functions have stored, at most 50 MB.

    Read from the servers of the settings, and by https from public addresses. Raises StorageFailed.
    """
    servers = filter(None, (settings.functions_elsewhere, settings.public_url))

    async def fetch() -> bytes:
        files = OutputFiles(list(map(httpx.URL, servers)))
        try:
            async with asyncio.timeout(DOWNLOAD_SECONDS):
                return await files.fetch(address)
        finally:
            await files.aclose()

    try:
        return asyncio.run(fetch())
    except (ProviderError, TimeoutError) as error:
        raise StorageFailed(str(error) or "The image server does not respond.") from None


def image_storage(settings: Settings) -> Storage:
    """The storage for images: the project's bucket if one is configured, else local files."""
    if settings.supabase_url and settings.storage_bucket:
        return SupabaseStorage(
            settings.supabase_url,
            settings.secret_keys[0],
            settings.storage_bucket,
            settings.storage_url_seconds,
        )
    return LocalStorage(settings.images, settings.public_url or "")
