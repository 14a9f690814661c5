"""Fold finished jobs into the rollups, so that no page scans the history."""

import asyncio
import logging

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async
from lib.queue.upkeep import ROLLUP_SECONDS as REFRESH_SECONDS

logger = logging.getLogger(__name__)


async def refresh_rollup(pool: AsyncPool) -> bool:
    """Sample the queue's length, and fold for about a second.

    True if more is left to fold, False also if another refresh is running. A database that is away
    is only logged: the next refresh catches up.
    """
    sql = load_async("rollup")
    try:
        async with connected(pool) as connection:
            await sql.sample_queue(connection)
            return bool(
                await sql.refresh_rollup(
                    # One of all workers does it per interval.
                    connection,
                    every_seconds=REFRESH_SECONDS / 2,
                )
            )
    except DatabaseUnavailable as error:
        logger.warning("The rollups were not updated: %s", error)
        return False


async def keep_rollup_fresh(pool: AsyncPool) -> None:
    """Fold every few seconds, and continuously while there is a backlog, until cancelled."""
    while True:
        if not await refresh_rollup(pool):
            await asyncio.sleep(REFRESH_SECONDS)
