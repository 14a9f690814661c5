"""Folds what has finished into the rollups, so that no page reads history row by row."""

import asyncio
import logging

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async
from lib.queue.upkeep import ROLLUP_SECONDS as REFRESH_SECONDS

logger = logging.getLogger(__name__)


async def refresh_rollup(pool: AsyncPool) -> bool:
    """Folds for about a second; True when more is left, False too while another refresh runs.

    A database that is away is logged: the next refresh folds what this one would have.
    """
    try:
        async with connected(pool) as connection:
            return bool(
                await load_async("rollup").refresh_rollup(
                    # Of many workers any one does it.
                    connection,
                    every_seconds=REFRESH_SECONDS / 2,
                )
            )
    except DatabaseUnavailable as error:
        logger.warning("Did not fold what has finished: %s", error)
        return False


async def keep_rollup_fresh(pool: AsyncPool) -> None:
    """Folds every few seconds until cancelled, and without a pause while much is left."""
    while True:
        if not await refresh_rollup(pool):
            await asyncio.sleep(REFRESH_SECONDS)
