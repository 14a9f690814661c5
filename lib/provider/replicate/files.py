"""Download the files of a prediction's output, which other servers than the API's may serve."""

import asyncio
import binascii
import socket
from base64 import b64decode
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

import httpx

from lib.provider.contract import ProviderError
from lib.provider.replicate.errors import retry_after

MAX_FILE_BYTES = 50_000_000
MAX_REDIRECTS = 5
MAX_RETRY_AFTER_SECONDS = 300.0
"""A file server may ask for a longer wait than the provider keeps the file."""
UNAVAILABLE = frozenset({408, 425, 429})
"""Statuses below 500 that say nothing about the file."""


class OutputFiles:
    """Downloads files. The credentials go to the API's own server alone.

    An error is about the file, not about the provider: image_not_found if its address is refused,
    image_unreachable if its server does not answer now, not_an_image and too_large.
    """

    def __init__(
        self, http: httpx.AsyncClient, api: httpx.URL, credentials: Mapping[str, str]
    ) -> None:
        self._http = http
        self._api = _origin(api)
        self._credentials = credentials

    async def fetch(self, address: str) -> bytes:
        """The content at an http, https or data URL, at most 50 MB. Raises ProviderError."""
        if address[:5].lower() == "data:":
            return _content_of(address)
        try:
            url = httpx.URL(address)
            for _ in range(MAX_REDIRECTS + 1):
                content = await self._get(url)
                if isinstance(content, bytes):
                    return content
                url = content
        except httpx.InvalidURL as error:
            raise _not_found("The address of the image is not a URL.") from error
        except httpx.RequestError as error:
            raise ProviderError(
                f"The server of the image does not answer ({type(error).__name__}).",
                code="image_unreachable",
            ) from error
        raise _not_found(f"The address of the image leads on more than {MAX_REDIRECTS} times.")

    async def _get(self, url: httpx.URL) -> bytes | httpx.URL:
        """The content of a file, or where it is instead."""
        if url.scheme not in ("http", "https") or not url.host:
            raise _not_found("The address of the image is not a web address.")
        own = _origin(url) == self._api
        if not own and not await _is_public(url):
            raise _not_found(f"The address of the image, at {url.host}, is in a private network.")
        async with self._http.stream(
            "GET", url, headers=self._credentials if own else {}
        ) as response:
            if response.next_request:
                return response.next_request.url
            if response.is_success:
                return await read(response, MAX_FILE_BYTES, about="image of the prediction")
        status = response.status_code
        message = f"The server of the image, {url.host}, answered {status}."
        if status < 500 and status not in UNAVAILABLE:
            raise _not_found(message, status)
        wait = retry_after(response.headers)
        raise ProviderError(
            message,
            code="image_unreachable",
            status=status,
            retry_after=None if wait is None else min(wait, MAX_RETRY_AFTER_SECONDS),
        )


async def read(response: httpx.Response, limit: int, about: str) -> bytes:
    """The body of a response. Raises ProviderError "too_large" if it exceeds `limit` bytes."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            raise ProviderError(
                f"The answer for {about} is larger than {limit // 1_000_000} MB.",
                code="too_large",
                permanent=True,
            )
    return bytes(body)


async def _is_public(url: httpx.URL) -> bool:
    """Whether everybody can reach a URL, not just this machine or its network."""
    host = url.raw_host.decode()
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, url.port or url.scheme, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        # The request fails, or a proxy resolves the name and decides.
        return True
    return all(ip_address(str(address[0]).partition("%")[0]).is_global for *_, address in found)


def _content_of(data_url: str) -> bytes:
    header, _, data = data_url.partition(",")
    content = unquote_to_bytes(data)
    if not header.lower().endswith(";base64"):
        return content
    try:
        return b64decode(content)
    except binascii.Error as error:
        raise ProviderError(
            "The prediction's output is not an image but a broken data URL.",
            code="not_an_image",
            permanent=True,
        ) from error


def _not_found(message: str, status: int | None = None) -> ProviderError:
    return ProviderError(message, code="image_not_found", status=status)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
