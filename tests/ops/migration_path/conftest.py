"""The synchronous path on a fast simulated provider."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lib.database import AsyncPool, open_async_pool
from lib.ops.migration_path import Rollout
from lib.provider.replicate.client import Replicate
from lib.provider.simulator.server import Simulator
from lib.storage.local import LocalStorage


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A fast simulator without random failures."""
    server = Simulator(tmp_path_factory.mktemp("rollout"), speed=100, failure_rate=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def async_pool(database: str) -> AsyncIterator[AsyncPool]:
    pool = await open_async_pool(database, application_name="darkroom worker")
    yield pool
    await pool.close()


@pytest.fixture
async def rollout(
    simulator: Simulator, async_pool: AsyncPool, tmp_path: Path
) -> AsyncIterator[Rollout]:
    replicate = Replicate(simulator.token, simulator.base_url)
    storage = LocalStorage(tmp_path / "images", "http://app.example")
    yield Rollout(async_pool, replicate, storage, deadline_seconds=30)
    await replicate.aclose()
