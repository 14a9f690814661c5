"""Asks the queue for jobs on behalf of one worker, and hears when it should."""

import asyncio
import logging
from collections.abc import Callable, Collection
from uuid import UUID

from lib.database import DatabaseUnavailable, notifications
from lib.queue.worker_calls import Claim, Queue

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0
MOST_AT_ONCE = 4
"""Claims under way while much is waiting: some look for jobs as others are committed."""


class Claiming:
    """The claims of a worker, `batch` jobs at most in each.

    `start` is told every job that it gets. `held` is what the worker knows that it holds: what
    else the database takes for held, after an answer that was lost, is given back before the
    next claim.
    """

    def __init__(
        self,
        queue: Queue,
        worker_id: UUID,
        job_types: Collection[str],
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
        self._at_once = 1
        self._unheard = False

    async def claim(self, free: int) -> bool:
        """Starts up to `free` due jobs, most urgent first; False when there is none.

        None too while the database is away.
        """
        limits = [min(self._batch, free - taken) for taken in range(0, free, self._batch)]
        limits = limits[: self._at_once]
        try:
            if self._unheard:
                await self._queue.release_unheld(self._worker_id, list(self._held))
                self._unheard = False
            async with asyncio.TaskGroup() as group:
                asking = [group.create_task(self._ask(limit)) for limit in limits]
        except* DatabaseUnavailable as errors:
            logger.warning("Cannot claim jobs: %s", errors.exceptions[0])
            self._unheard = True
            self._at_once = 1
            claimed = 0
        else:
            claimed = sum(asked.result() for asked in asking)
            self._at_once = MOST_AT_ONCE if claimed == sum(limits) else 1
        return claimed > 0

    async def _ask(self, limit: int) -> int:
        claims = await self._queue.claim(self._worker_id, self._job_types, limit)
        for claim in claims:
            self._start(claim)
        return len(claims)


async def keep_listening(url: str, wake: asyncio.Event) -> None:
    """Sets the event whenever jobs may have become due, until cancelled."""
    while True:
        try:
            async for _ in notifications(url, "job_queue"):
                wake.set()
        except DatabaseUnavailable as error:
            logger.warning("Not woken by NOTIFY for now: %s", error)
        await asyncio.sleep(RECONNECT_SECONDS)
