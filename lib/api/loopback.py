"""Whether a request comes from this machine, and a browser's request from which page."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers

FORWARDING_HEADERS = frozenset(
    {
        *("forwarded", "via", "cdn-loop", "max-forwards", "front-end-https", "x-varnish"),
        *("client-ip", "true-client-ip", "proxy-client-ip", "wl-proxy-client-ip"),
        *("fastly-client-ip", "incap-client-ip", "do-connecting-ip", "x-nf-client-connection-ip"),
        *("x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-remote-ip", "x-remote-addr"),
        *("x-proxyuser-ip", "x-forwarded", "x-originating-ip", "x-sucuri-clientip", "x-real-port"),
        *("x-host", "x-server-name", "x-scheme", "x-url-scheme", "x-rewrite-url", "x-ssl"),
        *("x-amzn-trace-id", "x-cloud-trace-context", "x-appgw-trace-id", "x-request-start"),
        *("remote-user", "remote-email", "x-remote-user", "x-webauth-user", "x-client-cert"),
    }
)
"""Headers by which proxies name the original request, its user, or themselves."""
FORWARDING_PREFIXES = (
    *("x-forwarded-", "x-original-", "x-envoy-", "x-azure-", "x-fd-", "x-arr-", "x-nginx-"),
    *("x-amz-cf-", "cloudfront-", "akamai-", "x-akamai-", "cf-", "fly-", "tailscale-"),
    *("x-vercel-", "x-appengine-", "x-goog-", "x-auth-request-", "x-authentik-", "x-pomerium-"),
)


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
    """Whether a request, judged by its peer address and headers, was sent on this machine.

    A proxy on this machine that rewrites Host and adds no header cannot be told from a program:
    of a browser behind it, `origin_is_host` finds out.
    """
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return is_loopback(peer) and is_loopback(host) and not _forwarded(headers.keys())


def origin_is_host(headers: Headers) -> bool:
    """Whether a browser sent the request from a page that it has from the same Host.

    A browser sets Origin to the page's address as the user sees it, on websockets and on all
    methods but GET and HEAD.
    """
    origins, hosts = headers.getlist("origin"), headers.getlist("host")
    return (
        len(origins) == len(hosts) == 1
        and bool(hosts[0])
        and origins[0].lower() in {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
    )


def origin_is(headers: Headers, url: str) -> bool:
    """Whether a browser sent the request from a page at `url`."""
    origins = headers.getlist("origin")
    return len(origins) == 1 and _origin(origins[0]) == _origin(url)


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port


def _forwarded(names: Iterable[str]) -> bool:
    return any(
        name in FORWARDING_HEADERS or name.startswith(FORWARDING_PREFIXES)
        for name in (name.lower().replace("_", "-") for name in names)
    )
