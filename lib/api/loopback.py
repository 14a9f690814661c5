"""Whether a request comes from this machine."""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers by which a proxy names the original client."""


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address, without port, is loopback."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # A socket for both families names an IPv4 peer as ::ffff:127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_local_request(peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request, judged by its peer address and headers, was sent on this machine."""
    try:
        host = urlsplit(f"//{headers.get('host', 'localhost')}").hostname
    except ValueError:
        return False
    return (
        is_loopback(peer)
        and is_loopback(host)
        and not any(name in headers for name in FORWARDING_HEADERS)
    )
