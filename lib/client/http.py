"""HTTP clients of this package: they use the proxies of the environment, but not for loopback."""

from typing import Any, TypeVar

import httpx

Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)

DIRECT = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}


class UnusableProxy(Exception):
    """The environment names a proxy, or an exception from it, that httpx cannot use."""


def open_client(kind: type[Client], **options: Any) -> Client:
    """A client with these options of httpx. Raises UnusableProxy."""
    try:
        return kind(mounts=DIRECT, **options)
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        # Not its message, which may hold a password.
        raise UnusableProxy(
            "Invalid proxy settings (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY):"
            f" {type(error).__name__}."
        ) from error
