"""Which client serves a model."""

from collections.abc import Callable, Mapping

from lib.provider.cog.client import Cog
from lib.provider.contract import Provider, ProviderError

SERVERS: Mapping[str, Callable[[str], Provider]] = {Cog.name: Cog}
"""Providers whose models each name the address of their server."""


class Providers:
    """One client for each provider and address, made when a model first needs it.

    `default` serves the models that name no address.
    """

    def __init__(self, default: Provider) -> None:
        self._default = default
        self._servers: dict[tuple[str, str], Provider] = {}

    def client(self, name: str, url: str | None) -> Provider:
        """The client of a provider, at an address for a server of one's own.

        Raises ProviderError for a provider that is not known.
        """
        if name == self._default.name:
            return self._default
        if url is not None and (name, url) in self._servers:
            return self._servers[name, url]
        client = connect(name, url)
        self._servers[name, str(url)] = client
        return client

    async def aclose(self) -> None:
        """Close all clients."""
        for client in (self._default, *self._servers.values()):
            await client.aclose()


def connect(name: str, url: str | None) -> Provider:
    """A client of a server of one's own. Raises ProviderError for any other provider."""
    if name not in SERVERS or not url:
        raise ProviderError(
            f"Darkroom has no client for the provider {name[:200]}, or its address is missing.",
            code="model_not_found",
            permanent=True,
            no_effect=True,
        )
    return SERVERS[name](url)
