"""Whether only this computer reaches the app: without sign-in it serves nobody else."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import streamlit as st

from lib.settings import settings

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


def published() -> bool:
    """Whether the app is bound to more than this computer, or says that it is reached elsewhere.

    Streamlit's own default, no address at all, means every network.
    """
    url = settings().public_url
    return not is_loopback(st.get_option("server.address")) or (
        url is not None and not is_loopback(urlsplit(url).hostname)
    )


def from_here(peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request, by the address of its peer and its headers, came from this computer."""
    host = urlsplit(f"//{headers.get('host', 'localhost')}").hostname
    return (
        is_loopback(peer) and is_loopback(host) and not any(name in headers for name in FORWARDED)
    )
