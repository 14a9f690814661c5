"""Simulators, and servers that answer what a test wants."""

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from answering_server import Server, running
from starlette.requests import Request
from starlette.responses import Response

from lib.provider.replicate.client import Replicate
from lib.provider.simulator.server import Simulator


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A fast simulator without random failures."""
    server = Simulator(tmp_path_factory.mktemp("replicate"), speed=100, failure_rate=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificates() -> ssl.SSLContext:
    """Read once: httpx would read them for every client."""
    return httpx.create_ssl_context()


@pytest.fixture
async def connect(certificates: ssl.SSLContext) -> AsyncIterator[Callable[..., Replicate]]:
    """Makes clients and closes them."""
    async with AsyncExitStack() as stack:

        def connected(token: str, base_url: str, **options: float) -> Replicate:
            transport = httpx.AsyncHTTPTransport(verify=certificates)
            client = Replicate(token, base_url, transport=transport, **options)
            stack.push_async_callback(client.aclose)
            return client

        yield connected


@pytest.fixture
def replicate(simulator: Simulator, connect: Callable[..., Replicate]) -> Replicate:
    """A client of that simulator."""
    return connect(simulator.token, simulator.base_url)


@pytest.fixture(scope="session")
def two_servers() -> Iterator[list[Server]]:
    """Two of them, since stopping one takes a while."""
    with running() as first, running() as second:
        yield [first, second]


@pytest.fixture
def serve(two_servers: list[Server]) -> Callable[..., Server]:
    """Gives servers, at most two, with the answers that a test wants."""
    unused = iter(two_servers)

    def prepared(*answers: Response | Callable[[Request], Response]) -> Server:
        server = next(unused)
        server.prepare(*answers)
        return server

    return prepared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a simulator of the test's own."""
    return tmp_path / "replicate"
