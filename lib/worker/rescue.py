"""Rescue the jobs of workers that died."""

import asyncio
import logging
from pathlib import Path

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async
from lib.queue.upkeep import RESCUE_CHECKS_PER_TIMEOUT
from lib.queue.worker_calls import Queue
from lib.worker.liveness import dead

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
                logger.warning("Took over %d jobs without a heartbeat", len(rescued))
        except DatabaseUnavailable as error:
            logger.warning("Cannot check for lost workers: %s", error)
        await asyncio.sleep(
            known_timeout / RESCUE_CHECKS_PER_TIMEOUT if known_timeout else RETRY_SECONDS
        )


async def _stuck_after_seconds(pool: AsyncPool) -> float:
    async with connected(pool) as connection:
        return float(await load_async("queue").stuck_after(connection))


async def rescue_dead_workers(pool: AsyncPool, locks: Path) -> int:
    """Rescue the jobs of workers whose lock shows that their process is gone.

    Returns how many jobs. Raises DatabaseError.
    """
    rescued = 0
    for worker_id in dead(locks):
        async with connected(pool) as connection:
            jobs = load_async("queue").rescue_worker_jobs(connection, worker_id=worker_id)
            rescued += len([job async for job in jobs])
    return rescued
