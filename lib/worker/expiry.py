"""Delete uploads that have expired."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lib.database import AsyncPool, DatabaseUnavailable
from lib.generation.uploads import delete_expired_uploads
from lib.storage import Storage
from lib.worker.background import cancel_and_wait, keep_running

logger = logging.getLogger(__name__)

EXPIRY_SECONDS = 300.0
"""How long an expired upload may still be stored."""


@asynccontextmanager
async def uploads_expiring(pool: AsyncPool, storage: Storage) -> AsyncIterator[None]:
    """Delete expired uploads in the background."""
    task = asyncio.create_task(keep_running("uploads", lambda: _keep_deleting(pool, storage), pool))
    try:
        yield
    finally:
        await cancel_and_wait([task])


async def _keep_deleting(pool: AsyncPool, storage: Storage) -> None:
    while True:
        try:
            await delete_expired_uploads(pool, storage)
        except DatabaseUnavailable as error:
            logger.warning("Expired uploads were not deleted: %s", error)
        await asyncio.sleep(EXPIRY_SECONDS)
