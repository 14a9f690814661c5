"""Claim jobs for one worker, and wake it by LISTEN/NOTIFY."""

import asyncio
import logging
from collections.abc import Callable, Collection
from uuid import UUID

from lib.database import DatabaseError, DatabaseUnavailable, notifications
from lib.queue.worker_calls import Claim, Queue

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0
MAX_PARALLEL_CLAIMS = 4
"""Parallel claims under load: some select jobs while others commit."""


class Claiming:
    """Claims up to `batch` jobs at a time for a worker.

    `job_types` returns the types to claim now. `start` is called with every claim. `held` are the
    claims that the worker knows it holds: if the response to a claim was lost, any others are
    released before the next claim.
    """

    def __init__(
        self,
        queue: Queue,
        worker_id: UUID,
        job_types: Callable[[], Collection[str]],
        *,
        batch: int,
        held: Collection[Claim],
        start: Callable[[Claim], None],
    ) -> None:
        self._queue = queue
        self._worker_id = worker_id
        self._job_types = job_types
        self._batch = batch
        self._held = held
        self._start = start
        self._parallel_claims = 1
        self._response_lost = False

    async def claim(self, free: int) -> bool:
        """Claim and start up to `free` due jobs, most urgent first.

        Returns False if there are none or the database is unreachable.
        """
        job_types = self._job_types()
        limits = [min(self._batch, free - taken) for taken in range(0, free, self._batch)]
        limits = limits[: self._parallel_claims] if job_types else []
        try:
            if self._response_lost:
                await self._queue.release_unheld(self._worker_id, list(self._held))
            # Until every answer is here: an error of one batch cancels the others.
            self._response_lost = True
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._claim_batch(job_types, limit)) for limit in limits]
        except* DatabaseUnavailable as errors:
            logger.warning("Cannot claim jobs: %s", errors.exceptions[0])
            self._parallel_claims = 1
            claimed = 0
        else:
            self._response_lost = False
            claimed = sum(task.result() for task in tasks)
            self._parallel_claims = MAX_PARALLEL_CLAIMS if claimed == sum(limits) else 1
        return claimed > 0

    async def _claim_batch(self, job_types: Collection[str], limit: int) -> int:
        claims = await claim_jobs(self._queue, self._worker_id, job_types, limit)
        for claim in claims:
            self._start(claim)
        return len(claims)


async def claim_jobs(
    queue: Queue, worker_id: UUID, job_types: Collection[str], limit: int
) -> list[Claim]:
    """Claim up to `limit` due jobs. Those that the database refuses to change are set aside."""
    try:
        return await queue.claim(worker_id, job_types, limit)
    except DatabaseUnavailable:
        raise
    except DatabaseError as error:
        logger.warning("A claim was refused, so jobs are claimed one by one: %s", error)
        return await queue.claim(worker_id, job_types, limit, singly=True)


async def keep_listening(url: str, wake: asyncio.Event) -> None:
    """Set the event whenever jobs may have become due, until cancelled."""
    while True:
        try:
            async for _ in notifications(url, "job_queue"):
                wake.set()
        except DatabaseUnavailable as error:
            logger.warning("No notifications for now, polling: %s", error)
        await asyncio.sleep(RECONNECT_SECONDS)
