"""Worker processes on one provider, and a database server that may be stopped under them."""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from restartable import Server
from rig import Process

from lib.provider.simulator import predictions
from lib.provider.simulator.server import Simulator

SPEED = 100
"""Of the simulator: a prediction is over before a worker asks for the first time."""


class Crew:
    """Starts worker processes that share a provider and a data folder."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.provider = simulator.base_url
        self._simulator = simulator
        self.workers: list[Process] = []

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def start(self, database: str, **settings: str) -> Process:
        """Starts one; returns at once."""
        settings = {
            "DATABASE_URL": database,
            "REPLICATE_API_TOKEN": self._simulator.token,
            "REPLICATE_API_URL": self.provider,
            "DARKROOM_DATA": str(self.folder),
            "DARKROOM_CONCURRENCY": "10",
            "DARKROOM_CLAIM_BATCH": "10",
            "DARKROOM_HEARTBEAT_SECONDS": "0.2",
            "DARKROOM_POLL_SECONDS": "0.1",
        } | settings
        log = self.folder / f"worker-{len(self.workers)}.log"
        self.workers.append(Process(log, ["-m", "lib.worker"], settings))
        return self.workers[-1]

    def predictions(self) -> Counter[str]:
        """How many predictions the provider made for each prompt."""
        path = self.folder / "replicate" / "predictions.sqlite"
        query = "select json_extract(input, '$.prompt') from predictions"
        with closing(sqlite3.connect(path)) as connection:
            return Counter(prompt for (prompt,) in connection.execute(query))


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    """Worker processes on one simulated provider without a rate limit, killed at the end."""
    monkeypatch.setattr(predictions, "CREATES_PER_MINUTE", 100_000)
    simulator = Simulator(tmp_path / "replicate", speed=SPEED, failure_rate=0)
    simulator.start()
    made = Crew(tmp_path, simulator)
    yield made
    for worker in made.workers:
        worker.kill()
    simulator.stop()


@pytest.fixture
def server(eventually: Callable[..., Any]) -> Iterator[Server]:
    """A migrated database on a server that the test may stop and start."""
    # As in the root conftest: as root the server runs as another OS user.
    folder = Path(tempfile.mkdtemp(prefix="darkroom-chaos-"))
    made = Server(folder, eventually)
    yield made
    made.end()
    shutil.rmtree(folder)
