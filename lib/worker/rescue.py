"""Rescue the jobs of workers that died."""

import asyncio
import logging
import socket

import psutil

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async
from lib.queue.upkeep import RESCUE_CHECKS_PER_TIMEOUT
from lib.queue.worker_calls import Queue

logger = logging.getLogger(__name__)


RETRY_SECONDS = 10.0
"""Wait before asking again for a timeout that the database could not tell."""


async def keep_rescuing(pool: AsyncPool, timeout_seconds: float | None) -> None:
    """Rescue jobs without a heartbeat for `timeout_seconds`, until cancelled.

    None stands for the SQL function `stuck_after()`.
    """
    queue, known_timeout = Queue(pool), timeout_seconds
    while True:
        try:
            known_timeout = known_timeout or await _stuck_after_seconds(pool)
            if rescued := await queue.rescue(timeout_seconds):
                logger.warning("Took %d jobs of workers that fell silent", len(rescued))
        except DatabaseUnavailable as error:
            logger.warning("Cannot look for silent workers: %s", error)
        await asyncio.sleep(
            known_timeout / RESCUE_CHECKS_PER_TIMEOUT if known_timeout else RETRY_SECONDS
        )


async def _stuck_after_seconds(pool: AsyncPool) -> float:
    async with connected(pool) as connection:
        return float(await load_async("queue").stuck_after(connection))


async def rescue_dead_workers(pool: AsyncPool) -> int:
    """Rescue the jobs of workers on this host whose process is gone. Returns how many jobs.

    Correct only if all workers with this host name share its process table, as with the embedded
    database.
    """
    rescued = 0
    async with connected(pool) as connection:
        rows = load_async("worker").unstopped_workers(connection, host=socket.gethostname())
        for worker in [row async for row in rows]:
            if not _alive(worker["pid"], worker["process_started_at"]):
                jobs = load_async("queue").rescue_worker_jobs(connection, worker_id=worker["id"])
                rescued += len([job async for job in jobs])
    return rescued


def _alive(pid: int, started_at: float) -> bool:
    try:
        return bool(abs(psutil.Process(pid).create_time() - started_at) < 1)
    except psutil.NoSuchProcess:
        return False
