"""A deployment that is looked at: its database, its functions over HTTP, a worker that is alive."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from lib.api.routes import routes
from lib.checks.check import Finding
from lib.checks.deployment.catalogue import CHECKS
from lib.checks.deployment.progress import Checklist, checklist, facts
from lib.checks.selftest.target import Target, target
from lib.database import Pool, open_pool
from lib.database.pool import Connection
from lib.service import Service
from lib.settings import parse


@dataclass
class Deployed:
    pool: Pool
    target: Target
    db: Connection

    def look(self) -> Checklist:
        return checklist(self.pool, self.target)

    def finding(self, name: str) -> Finding:
        """One point alone, which is quicker."""
        [check] = [check for check in CHECKS if check.name == name]
        return check.run(facts(self.pool, self.target))

    def repair(self, name: str) -> None:
        """Runs the SQL of a point's repair, as an operator who copies it would."""
        words, _, sql = self.finding(name).todo.partition("\n\n")
        assert words
        assert sql
        self.db.execute(sql.encode())


@pytest.fixture
def deployed(database: str, db: Connection, tmp_path: Path) -> Iterator[Deployed]:
    """A database with nobody around it: no worker, and no functions at its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings = parse(
        {"DATABASE_URL": database, "DARKROOM_DATA": str(tmp_path), "DARKROOM_URL": url}
    )
    pool = open_pool(database, max_size=2, wait=5.0)
    yield Deployed(pool, target(settings), db)
    pool.close()


@pytest.fixture
def more_settings() -> dict[str, str]:
    """Further settings of the functions, for a test to give."""
    return {}


@pytest.fixture
def served(
    deployed: Deployed,
    database: str,
    tmp_path: Path,
    eventually: Callable[..., Any],
    more_settings: dict[str, str],
) -> Iterator[Deployed]:
    """The same with its functions."""
    settings = parse({"DATABASE_URL": database, "DARKROOM_DATA": str(tmp_path)} | more_settings)
    service = Service(settings)
    app = Starlette(routes=routes(lambda: service.functions), lifespan=service.lifespan)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
    thread = Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield replace(
        deployed, target=replace(deployed.target, functions_url=f"http://127.0.0.1:{port}")
    )
    server.should_exit = True
    thread.join()
