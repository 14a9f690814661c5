"""Wire the parts together: database, provider, storage, functions, worker."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from lib.api.routes import Functions
from lib.api.uploads import Uploads
from lib.api.user_tokens import UserTokens
from lib.database import (
    AsyncPool,
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
from lib.settings.named_function import named_function
from lib.worker.background import attempt, keep_running
from lib.worker.expiry import uploads_expiring
from lib.worker.handlers import Handler, handlers
from lib.worker.rescue import rescue_dead_workers
from lib.worker.signals import on_signals
from lib.worker.worker import Worker

logger = logging.getLogger(__name__)

EMBEDDED_CHECK_SECONDS = 3


def refuse_other_schema(settings: Settings) -> None:
    """Raise SchemaMismatch, saying what to do, if another version made the database's schema.

    Accepts a database that is unreachable or has no schema yet. Raises DatabaseError.
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
            "The embedded database was created by another version of Darkroom",
            f"delete the folder {settings.data.resolve()}, with all jobs and images in it, and"
            " start again",
        ) from error


def prompt_check(settings: Settings) -> Callable[..., Any] | None:
    """The team's check of prompts, None without one. Raises SettingsError if it cannot load."""
    name = settings.prompt_check
    return named_function("DARKROOM_PROMPT_CHECK", name) if name else None


def prepare_database(settings: Settings) -> str:
    """The URL of the database in use, ready for use.

    The embedded one is migrated and, if empty, filled with sample history; a configured one is
    used as is, unless another version made its schema. Raises DatabaseError, whose message says
    what to do.
    """
    refuse_other_schema(settings)
    url = database_url(settings)
    if settings.database_url:
        return url
    with connect(url) as connection:
        bootstrap(connection)
        apply(connection)
        if settings.sample_data:
            in_bucket = settings.storage_bucket is not None
            load_sample_history(connection, None if in_bucket else settings.images)
    return url


@dataclass(frozen=True)
class Backend:
    """Dependencies for running jobs."""

    settings: Settings
    pool: AsyncPool
    heartbeat_pool: AsyncPool
    queue: Queue
    handlers: Mapping[str, Handler]
    locks: Path | None
    """Folder of the workers' locks on the embedded database."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: WeakSet[Worker] = field(default_factory=WeakSet)

    def worker(self, kind: str) -> Worker:
        """Create a worker: for a single function call, or for the lifetime of the process."""
        worker = Worker(
            self.pool,
            self.heartbeat_pool,
            self.handlers,
            kind=kind,
            concurrency=(
                self.settings.concurrency if kind == "worker" else self.settings.max_parallel_jobs
            ),
            heartbeat_seconds=self.settings.heartbeat_seconds,
            rescue_seconds=self.settings.rescue_seconds,
            batch=self.settings.claim_batch,
            locks=self.locks,
        )
        self._workers.add(worker)
        return worker

    def stop(self) -> None:
        """Ask every worker to stop, including those of running requests."""
        self.stopping.set()
        for worker in self._workers:
            worker.stop()


@asynccontextmanager
async def backend(settings: Settings, url: str) -> AsyncIterator[Backend]:
    """Open the dependencies for running jobs; without a Replicate token, start a simulator.

    An embedded database is kept running meanwhile, and the jobs of its dead workers are rescued.
    Raises SettingsError if the prompt check cannot be loaded.
    """
    async with AsyncExitStack() as stack:
        pool = await open_async_pool(url, max_size=8, wait=2.0, application_name="darkroom worker")
        stack.push_async_callback(pool.close)
        heartbeat_pool = await open_async_pool(
            url, max_size=2, wait=2.0, application_name="darkroom heartbeat"
        )
        stack.push_async_callback(heartbeat_pool.close)
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
        queue, storage = Queue(pool), image_storage(settings)
        await stack.enter_async_context(uploads_expiring(pool, storage))
        job_handlers = handlers(
            queue,
            replicate,
            storage,
            generation_seconds=settings.generation_seconds,
            prompt_check=prompt_check(settings),
        )
        locks = None if settings.database_url else settings.data / "postgres" / "workers"
        if locks:
            await stack.enter_async_context(_embedded_kept(settings, pool, locks))
        yield Backend(settings, pool, heartbeat_pool, queue, job_handlers, locks)


@asynccontextmanager
async def _embedded_kept(settings: Settings, pool: AsyncPool, locks: Path) -> AsyncIterator[None]:
    """Restart the embedded server when it is gone, and rescue the jobs of dead workers."""
    ended = asyncio.Event()

    async def check() -> None:
        await asyncio.to_thread(database_url, settings)
        if rescued := await rescue_dead_workers(pool, locks):
            logger.warning("Took over %d jobs of dead workers", rescued)

    async def keep() -> None:
        while not ended.is_set():
            try:
                await attempt("embedded database", check(), pool)
            except DatabaseUnavailable as error:
                logger.error("The embedded database is unavailable: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), EMBEDDED_CHECK_SECONDS)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        # Not cancelled: a start that continues in its thread would outlive our last stop.
        ended.set()
        await keeping


class Service:
    """The backend of the app, started and stopped with the server."""

    def __init__(self, settings: Settings, *, with_worker: bool = False) -> None:
        """`with_worker` adds a worker for a configured database; an embedded one always has one."""
        # Raises SettingsError here, because the server shows one of its lifespan as a traceback.
        prompt_check(settings)
        self._with_worker = with_worker
        self.functions: Functions | None = None
        self.worker_ended = False
        """Whether the worker of this process has ended by an error and is not running again yet."""
        self.pool: AsyncPool | None = None
        self._settings = settings

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:
        """Run the functions and any worker until the app stops."""
        async with (
            _prepared_database(self._settings) as url,
            backend(self._settings, url) as service,
        ):
            keys = project_keys(self._settings)
            tokens = UserTokens(keys.jwt_secret, jwks_url(self._settings))
            self.functions = Functions(
                service.queue,
                keys,
                tokens,
                service.worker,
                self._settings.anonymous_starts,
                Uploads(service.pool, image_storage(self._settings)),
            )
            self.pool = service.pool
            watch_task = None
            async with asyncio.TaskGroup() as tasks:
                if self._settings.database_url:
                    # Evaluated here too, or no one would notice that all workers are gone.
                    watch_task = tasks.create_task(
                        keep_running(
                            "alerts", lambda: keep_evaluating_alerts(service.pool), service.pool
                        )
                    )
                if self._with_worker or not self._settings.database_url:
                    work = partial(self._work, service, url)
                    tasks.create_task(keep_running("worker", work, service.pool, service.stopping))
                with on_signals(service.stop):
                    yield
                service.stop()
                if watch_task:
                    watch_task.cancel()
            self.functions = self.pool = None

    async def _work(self, service: Backend, url: str) -> None:
        self.worker_ended = False
        try:
            await service.worker("worker").run(
                url,
                poll_seconds=self._settings.poll_seconds,
                stop_grace_seconds=self._settings.stop_grace_seconds,
            )
        finally:
            self.worker_ended = not service.stopping.is_set()


@asynccontextmanager
async def _prepared_database(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database; the embedded server is released at the end.

    An exit handler would be too late: the server re-raises the signal it received, which ends
    the process without running Python's exit handlers.
    """
    server = None
    try:
        if not settings.database_url:
            server = await asyncio.to_thread(embedded.start, settings.data / "postgres")
        yield await asyncio.to_thread(prepare_database, settings)
    finally:
        if server:
            await asyncio.to_thread(server.stop)
