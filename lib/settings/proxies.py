"""Proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

HTTP and websocket clients read them by themselves, each in its own way, and httpx raises for what
it cannot read. So the environment itself is put in order, once, before the first client is made.
"""

import logging
import os
import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from lib.settings.values import SettingsError

logger = logging.getLogger(__name__)

SCHEMES = ("http", "https", "all")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def prepare_proxies(urls: Iterable[str | None]) -> None:
    """Let every client reach loopback without a proxy, and read NO_PROXY without an error.

    Clients compare names, not networks: of 127.0.0.0/8 the hosts of `urls`, those of the settings,
    are added. Raises SettingsError for a proxy that cannot be used.
    """
    found = getproxies()
    excluded = [entry.strip() for entry in found.get("no", "").split(",") if entry.strip()]
    proxies = {scheme: found[scheme] for scheme in SCHEMES if found.get(scheme)}
    # httpx reads NO_PROXY even where there is no proxy.
    if not (proxies or excluded) or "*" in excluded:
        return
    for scheme, proxy in proxies.items():
        _check(f"{scheme.upper()}_PROXY", proxy)
    hosts = [urlsplit(url).hostname or "" for url in urls if url]
    kept = [host for entry in excluded if (host := _readable(entry))]
    kept += [*LOOPBACK, *(host for host in hosts if host.startswith("127."))]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(dict.fromkeys(kept))


def _check(name: str, proxy: str) -> None:
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        httpx.Proxy(url)
        parts = urlsplit(url)
        usable = parts.hostname and (parts.port or True) and not re.search(r"\s", url)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise SettingsError(
            f"{name} is not a valid proxy: use http://host:port or socks5://host:port."
        )


def _readable(entry: str) -> str | None:
    """An entry of NO_PROXY as httpx reads it; None, with a warning, if it cannot."""
    host = entry.strip("[]")
    try:
        IPv6Address(host.split("/")[0])
    except ValueError:
        host, pattern = entry, entry if "://" in entry else f"all://*{entry}"
    else:
        pattern = f"all://[{host}]"
    try:
        httpx.URL(pattern)
    except httpx.InvalidURL:
        logger.warning("NO_PROXY: ignoring %s, which HTTP clients cannot parse", entry)
        return None
    return host
