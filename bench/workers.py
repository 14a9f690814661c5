"""Our whole worker draining a queue of jobs that do nothing."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.claims import fill
from lib.database import connect, open_async_pool
from lib.queue.worker_calls import Claim
from lib.worker.worker import Handler, Worker

CONCURRENCY = 1000
"""Jobs at once, as the peers allow any number too; what is compared is the size of a claim."""


@asynccontextmanager
async def open_worker(
    url: str, handler: Handler, *, concurrency: int, batch: int
) -> AsyncIterator[Worker]:
    """A worker for jobs of type `bench`, on pools as large as the application's."""
    async with (
        await open_async_pool(url, max_size=8) as pool,
        await open_async_pool(url, max_size=2) as heartbeat_pool,
    ):
        yield Worker(
            pool,
            heartbeat_pool,
            {"bench": handler},
            kind="worker",
            concurrency=concurrency,
            batch=batch,
            heartbeat_seconds=15,
            rescue_seconds=60,
        )


async def drain(url: str, *, jobs: int, batch: int) -> float:
    """Seconds from the start of a worker to the last completion of the `jobs` in the queue.

    Raises RuntimeError when a job was not completed.
    """
    handled = 0

    async def nothing(_claim: Claim) -> dict[str, object]:
        nonlocal handled
        handled += 1
        if handled == jobs:
            worker.stop()
        return {}

    started = time.time()
    async with open_worker(url, nothing, concurrency=CONCURRENCY, batch=batch) as worker:
        await worker.run(url, poll_seconds=1, stop_grace_seconds=60)
    with connect(url) as connection:
        completed = fill.completed(connection)
    if completed["jobs"] != jobs:
        raise RuntimeError(f"batch {batch}: {completed['jobs']} of {jobs} completed")
    return completed["last_at"] - started
