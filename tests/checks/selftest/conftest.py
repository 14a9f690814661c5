"""A whole deployment in this process: functions, images, and a worker that may be stopped."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from supabase_project import Project

from lib.api.routes import routes
from lib.checks.selftest.report import Report
from lib.checks.selftest.runner import SelfTest
from lib.checks.selftest.target import Target, target
from lib.database import connect
from lib.service import Service, backend
from lib.settings import Settings, parse
from lib.worker.worker import Worker


@dataclass
class Deployment:
    settings: Settings
    target: Target
    project: Project
    worker: Worker | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def run(self, *only: str) -> Report:
        """Runs the self-test, or the named checks with what they need."""
        return asyncio.run(SelfTest(self.target, "tester", only).run())

    def over_supabase(self) -> None:
        """From now on the deployment counts as a Supabase project."""
        self.target = replace(self.target, supabase_url=self.target.functions_url)

    def stop_worker(self) -> None:
        assert self.loop
        assert self.worker
        self.loop.call_soon_threadsafe(self.worker.stop)


@pytest.fixture
def deployment(
    database: str, tmp_path: Path, eventually: Callable[..., Any]
) -> Iterator[Deployment]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    settings = parse(
        {
            "DATABASE_URL": database,
            "DARKROOM_DATA": str(tmp_path),
            "DARKROOM_URL": f"http://127.0.0.1:{listening.getsockname()[1]}",
            "DARKROOM_SIMULATOR_SPEED": "200",
            "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
        }
    )
    tested = target(settings)
    assert tested.keys.jwt_secret
    project = Project(database, tested.keys.publishable, tested.keys.secret, tested.keys.jwt_secret)
    deployed = Deployment(settings, tested, project)
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with (
            service.lifespan(app),
            project.lifespan(app),
            backend(settings, database) as parts,
        ):
            deployed.loop, deployed.worker = asyncio.get_running_loop(), parts.worker("worker")
            working = asyncio.create_task(
                deployed.worker.run(database, poll_seconds=1, stop_grace_seconds=0)
            )
            yield
            deployed.worker.stop()
            await working

    app = Starlette(
        routes=[
            *routes(lambda: service.functions),
            Mount("/images", StaticFiles(directory=settings.images, check_dir=False)),
            *project.routes,
        ],
        lifespan=lifespan,
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = Thread(target=server.run, args=([listening],))
    thread.start()
    eventually(lambda: server.started)
    with connect(database) as connection:
        eventually(lambda: connection.execute("select from public.workers").fetchall())
    yield deployed
    server.should_exit = True
    thread.join()
    listening.close()
