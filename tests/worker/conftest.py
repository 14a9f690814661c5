"""Workers in this process, with handlers of the test's choice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from lib.database import AsyncPool, open_async_pool
from lib.database.pool import Connection
from lib.worker.worker import Worker

RunWorker = Callable[..., AbstractAsyncContextManager[Worker]]


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncPool]:
    pool = await open_async_pool(database, application_name="darkroom worker")
    yield pool
    await pool.close()


@pytest.fixture
def make_worker(pool: AsyncPool) -> Callable[..., Worker]:
    def make(handler: Any, **options: Any) -> Worker:
        chosen = {
            "kind": "worker",
            "concurrency": 5,
            "heartbeat_seconds": 0.05,
            "rescue_seconds": 600,
            "batch": 50,
        }
        return Worker(pool, pool, {"test": handler}, **chosen | options)

    return make


@pytest.fixture
def running(database: str, make_worker: Callable[..., Worker]) -> RunWorker:
    @asynccontextmanager
    async def run(handler: Any, *, poll_seconds: float = 0.05, grace: float = 0, **options: Any):
        worker = make_worker(handler, **options)
        task = asyncio.create_task(
            worker.run(database, poll_seconds=poll_seconds, stop_grace_seconds=grace)
        )
        try:
            yield worker
        finally:
            worker.stop()
            await task

    return run


@pytest.fixture
def enqueue(db: Connection) -> Callable[..., Any]:
    def enqueue(max_attempts: int = 3) -> Any:
        row = db.execute(
            "select public.enqueue_job('test', '{}', 0, now(), %s) as id", (max_attempts,)
        ).fetchone()
        return row["id"]

    return enqueue


@pytest.fixture
def job(db: Connection) -> Callable[[Any], Any]:
    def job(job_id: Any) -> Any:
        return db.execute("select * from public.job_queue where id = %s", (job_id,)).fetchone()

    return job


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """As `eventually`, letting the event loop go on meanwhile."""

    async def wait(condition: Callable[[], Any]) -> Any:
        async with asyncio.timeout(20):
            while not (found := condition()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found

    return wait


@pytest.fixture
def listening(db: Connection) -> Callable[[], Any]:
    """Whether a worker waits for notifications."""
    query = (
        "select from pg_stat_activity"
        " where application_name like 'darkroom listening%' and query ilike 'listen%'"
    )
    return lambda: db.execute(query).fetchone() is not None
