"""Download the files of a prediction's output, which other servers than the API's may serve."""

import asyncio
import binascii
import socket
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

import httpx

from lib.provider.contract import ProviderError
from lib.provider.retry import retry, retry_after, transient

MAX_FILE_BYTES = 50_000_000
MAX_REDIRECTS = 5
MAX_RETRY_AFTER_SECONDS = 300.0
"""A file server may ask for a longer wait than the provider keeps the file."""
UNICAST = IPv6Network("2000::/3")
"""All IPv6 addresses that anybody on the internet can have."""
TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv6 addresses by which a network reaches IPv4 ones, their last 32 bits."""
INTERNAL = (
    # IETF protocol assignments, of which Python takes some for public; Oracle's clouds serve
    # credentials there.
    IPv4Network("192.0.0.0/24"),
    # Services of the host in Azure.
    IPv4Network("168.63.129.16/32"),
)
UNAVAILABLE = frozenset({408, 425, 429})
"""Statuses below 500 that say nothing about the file."""


class OutputFiles:
    """Downloads files: from trusted servers, and by https from public addresses.

    The credentials go to the trusted servers alone. An error is about the file, not about the
    provider: image_not_found if its address is refused, image_unreachable if its server does not
    answer now, not_an_image and too_large.
    """

    def __init__(
        self,
        trusted: Sequence[httpx.URL],
        credentials: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        timeout = httpx.Timeout(30, connect=5)
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport)
        self._direct = httpx.AsyncClient(
            timeout=timeout,
            # A transport of its own uses no proxy. Connections are to an address and not to a
            # name, so another name must not use them.
            transport=transport
            or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0)),
        )
        self._trusted = {_origin(url) for url in trusted}
        self._credentials = credentials

    async def fetch(self, address: str) -> bytes:
        """The content at a web or data URL, at most 50 MB. Raises ProviderError."""
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
            raise _not_found("The image address is not a URL.") from error
        except httpx.RequestError as error:
            raise ProviderError(
                f"The image server does not respond ({type(error).__name__}).",
                code="image_unreachable",
            ) from error
        raise _not_found(f"The image address redirects more than {MAX_REDIRECTS} times.")

    async def download(self, address: str, *, deadline: float, max_wait: float) -> bytes:
        """Fetch within `deadline` seconds, retrying with waits of at most `max_wait` in total.

        Raises ProviderError.
        """
        fetch = partial(self.fetch, address)
        try:
            async with asyncio.timeout(deadline):
                return await retry(fetch, retryable=transient, max_wait=max_wait)
        except TimeoutError as error:
            raise ProviderError(
                f"The image did not arrive within {deadline:.3g} s.", code="image_unreachable"
            ) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._direct.aclose()

    async def _get(self, url: httpx.URL) -> bytes | httpx.URL:
        """The content of a file, or where it is instead."""
        if url.scheme not in ("http", "https") or not url.host:
            raise _not_found("The image address is not a web URL.")
        if _origin(url) in self._trusted:
            return await self._read(self._http, url, url, self._credentials)
        addresses = await _addresses(url)
        if not all(map(is_public, addresses)):
            raise _not_found(f"The image address, at {url.host}, is on a private network.")
        if url.scheme != "https":
            raise _not_found(f"The image address, at {url.host}, does not use https.")
        if _uses_proxy(url):
            # The proxy resolves the name, and decides.
            return await self._read(self._http, url, url)
        failure = httpx.ConnectError("The host name cannot be resolved.")
        for address in addresses:
            # What was checked is what is connected to: the name may lead elsewhere a moment later.
            try:
                return await self._read(self._direct, url, url.copy_with(host=address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = httpx.ConnectError(str(error))
        raise failure

    async def _read(
        self,
        http: httpx.AsyncClient,
        url: httpx.URL,
        connect_to: httpx.URL,
        headers: Mapping[str, str] | None = None,
    ) -> bytes | httpx.URL:
        """The content of a file, read from a server at `connect_to`, or where it is instead."""
        async with http.stream(
            "GET",
            connect_to,
            headers={"Host": url.netloc.decode(), **(headers or {})},
            # The name of the certificate.
            extensions={"sni_hostname": url.raw_host.decode()},
        ) as response:
            if response.has_redirect_location:
                return url.join(response.headers["location"])
            if response.is_success:
                return await read(response, MAX_FILE_BYTES, about="the prediction's image")
        status = response.status_code
        message = f"The image server, {url.host}, returned HTTP {status}."
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
                f"The response for {about} is larger than {limit // 1_000_000} MB.",
                code="too_large",
                permanent=True,
            )
    return bytes(body)


def is_public(address: str) -> bool:
    """Whether everybody can reach an IP address, not just this machine or its network."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = _inner_address(found)
        if inner is None:
            return found in UNICAST and found.is_global
        found = inner
    internal = any(found in network for network in INTERNAL)
    return found.is_global and not found.is_multicast and not internal


def _inner_address(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to an IPv6 address reach, if there is one."""
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


async def _addresses(url: httpx.URL) -> Sequence[str]:
    """The IP addresses of a URL's host; none if they cannot be found."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            url.raw_host.decode(), url.port or url.scheme, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]


def _uses_proxy(url: httpx.URL) -> bool:
    proxies = getproxies()
    return bool(proxies.get("https") or proxies.get("all")) and not proxy_bypass(url.host)


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
