"""Whether a request comes from this computer."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers by which a proxy says for whom it asks."""


def is_loopback(host: str | None) -> bool:
    """Whether a host's name or address, without port, is that of this computer."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def from_here(peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request, by the address of its peer and its headers, came from this computer."""
    host = urlsplit(f"//{headers.get('host', 'localhost')}").hostname
    return (
        is_loopback(peer) and is_loopback(host) and not any(name in headers for name in FORWARDED)
    )
