"""Puts the parts together: database, provider, storage, functions, worker."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from weakref import WeakSet

from lib.api.routes import Functions
from lib.api.user_tokens import UserTokens
from lib.database import (
    AsyncPool,
    DatabaseError,
    DatabaseUnavailable,
    SchemaMismatch,
    connect,
    embedded,
    open_async_pool,
)
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply, check_schema
from lib.database.sample_history import load_sample_history
from lib.ops.alerts.watch import keep_evaluating_alerts
from lib.provider.replicate.client import Replicate
from lib.provider.simulator.server import Simulator
from lib.queue.worker_calls import Queue
from lib.resources import database_url, image_storage, jwks_url, project_keys
from lib.settings import Settings
from lib.worker.handlers import Handler, handlers
from lib.worker.rescue import rescue_dead_workers
from lib.worker.worker import Worker

logger = logging.getLogger(__name__)

UPKEEP_SECONDS = 3


def refuse_other_schema(settings: Settings) -> None:
    """Raise SchemaMismatch, saying what to do, if another version made the database's schema.

    Accepts a database that does not answer or has no schema yet. Raises DatabaseError.
    """
    try:
        with connect(database_url(settings)) as connection:
            check_schema(connection)
    except DatabaseUnavailable:
        if not settings.database_url:
            raise
    except SchemaMismatch as error:
        if settings.database_url:
            raise
        raise SchemaMismatch(
            "The embedded database was made by another version of Darkroom",
            f"delete the folder {settings.data.resolve()}, with all jobs and images in it, and"
            " start again",
        ) from error


def prepare_database(settings: Settings) -> str:
    """The URL of the database in use, ready to work with.

    The embedded one is migrated and, when empty, given its sample history; a configured one is
    taken as it is, unless another version made its schema. Raises DatabaseError with what to do.
    """
    refuse_other_schema(settings)
    url = database_url(settings)
    if settings.database_url:
        return url
    with connect(url) as connection:
        bootstrap(connection)
        apply(connection)
        if settings.sample_data:
            load_sample_history(connection)
    return url


@dataclass(frozen=True)
class Backend:
    """What jobs run with."""

    settings: Settings
    pool: AsyncPool
    beat_pool: AsyncPool
    queue: Queue
    handlers: Mapping[str, Handler]
    _workers: WeakSet[Worker] = field(default_factory=WeakSet)

    def worker(self, kind: str) -> Worker:
        """A worker for one call of a function, or one that lives as long as its process."""
        worker = Worker(
            self.pool,
            self.beat_pool,
            self.handlers,
            kind=kind,
            concurrency=(
                self.settings.concurrency if kind == "worker" else self.settings.max_parallel_jobs
            ),
            heartbeat_seconds=self.settings.heartbeat_seconds,
            rescue_seconds=self.settings.rescue_seconds,
            batch=self.settings.claim_batch,
        )
        self._workers.add(worker)
        return worker

    def stop(self) -> None:
        """Asks every worker to end, those of running requests too."""
        for worker in self._workers:
            worker.stop()


@asynccontextmanager
async def backend(settings: Settings, url: str) -> AsyncIterator[Backend]:
    """Opens what jobs run with; without a Replicate token, a simulator runs alongside."""
    async with AsyncExitStack() as stack:
        pool = await open_async_pool(url, max_size=8, wait=2.0, application_name="darkroom worker")
        stack.push_async_callback(pool.close)
        beat_pool = await open_async_pool(
            url, max_size=2, wait=2.0, application_name="darkroom heartbeat"
        )
        stack.push_async_callback(beat_pool.close)
        token, api = settings.replicate_token, settings.replicate_url
        if not token:
            simulator = Simulator(
                settings.data / "replicate",
                speed=settings.simulator_speed,
                failure_rate=settings.simulator_failure_rate,
            )
            await asyncio.to_thread(simulator.start)
            stack.push_async_callback(asyncio.to_thread, simulator.stop)
            token, api = simulator.token, simulator.base_url
        logger.info("Provider: %s", "Replicate" if settings.replicate_token else "simulated")
        replicate = Replicate(token, api) if api else Replicate(token)
        stack.push_async_callback(replicate.aclose)
        queue = Queue(pool)
        by_type = handlers(
            queue,
            replicate,
            image_storage(settings),
            generation_seconds=settings.generation_seconds,
        )
        yield Backend(settings, pool, beat_pool, queue, by_type)


class Service:
    """The app beneath the pages: started and stopped with the server."""

    def __init__(self, settings: Settings, *, with_worker: bool = False) -> None:
        """`with_worker` also runs a worker on a configured database; an embedded one has one."""
        self._with_worker = with_worker
        self.functions: Functions | None = None
        self.pool: AsyncPool | None = None
        self._settings = settings

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:
        """Runs the functions, and the worker where there is one, until the app stops."""
        async with (
            _prepared_database(self._settings) as url,
            backend(self._settings, url) as service,
        ):
            keys = project_keys(self._settings)
            tokens = UserTokens(keys.jwt_secret, jwks_url(self._settings))
            self.functions = Functions(service.queue, keys, tokens, service.worker)
            self.pool = service.pool
            async with asyncio.TaskGroup() as tasks:
                if self._settings.database_url:
                    # Here, because no worker is left to tell that there is none.
                    upkeep = tasks.create_task(keep_evaluating_alerts(service.pool))
                else:
                    if rescued := await rescue_dead_workers(service.pool):
                        logger.warning("Took over %d jobs of a worker that died", rescued)
                    upkeep = tasks.create_task(_keep_embedded_running(self._settings))
                if self._with_worker or not self._settings.database_url:
                    tasks.create_task(
                        service.worker("worker").run(
                            url,
                            poll_seconds=self._settings.poll_seconds,
                            stop_grace_seconds=self._settings.stop_grace_seconds,
                        )
                    )
                with _on_signals(service.stop):
                    yield
                service.stop()
                upkeep.cancel()
            self.functions = self.pool = None


@asynccontextmanager
async def _prepared_database(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database; the embedded one is left at the end.

    The exit of the process is too late: the server ends it by the signal it got, and then
    Python runs no exit handlers.
    """
    server = None
    try:
        if not settings.database_url:
            server = await asyncio.to_thread(embedded.start, settings.data / "postgres")
        yield await asyncio.to_thread(prepare_database, settings)
    finally:
        if server:
            await asyncio.to_thread(server.stop)


@contextmanager
def _on_signals(action: Callable[[], None]) -> Iterator[None]:
    """Runs the action at SIGTERM and SIGINT, before what the server does then.

    The server first waits for open requests, and those wait for their jobs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def act(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)
        if callable(handler := before[signal.Signals(number)]):
            handler(number, frame)

    for number in before:
        signal.signal(number, act)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _keep_embedded_running(settings: Settings) -> None:
    """Starts the embedded server again whenever it was killed or stopped by someone else."""
    while True:
        await asyncio.sleep(UPKEEP_SECONDS)
        try:
            await asyncio.to_thread(database_url, settings)
        except DatabaseError as error:
            logger.error("The embedded database does not start: %s", error)
