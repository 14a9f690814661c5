"""Ends claims in the database: many at once, and again until the database takes them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lib.database import DatabaseUnavailable
from lib.queue.worker_calls import Claim, ClaimLost, JobFailed, Queue

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.005
"""Rest between two settlements under load: the next one ends more claims in one transaction."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An attempt that ended for a reason outside the job; it is given back."""


Outcome = Mapping[str, Any] | JobFailed | Interrupted
"""A result, an error, or neither."""


class Settlement:
    """Outcomes on their way to the database.

    `on_settled` is told each claim that has ended, with its outcome, or None where the claim was
    lost meanwhile.
    """

    def __init__(
        self, queue: Queue, worker_id: UUID, on_settled: Callable[[Claim, Outcome | None], None]
    ) -> None:
        self._queue = queue
        self._worker_id = worker_id
        self._on_settled = on_settled
        self._waiting: dict[Claim, Outcome] = {}
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, claim: Claim, outcome: Outcome) -> None:
        """Takes an outcome; returns at once."""
        self._waiting[claim] = outcome
        self._empty.clear()
        self._filled.set()

    @property
    def failures(self) -> int:
        """How many errors are still to be stored."""
        return sum(isinstance(outcome, JobFailed) for outcome in self._waiting.values())

    async def empty(self) -> None:
        """Waits until everything added so far has been settled."""
        await self._empty.wait()

    async def run(self) -> None:
        """Settles what is added, until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._filled.wait()
            try:
                await self._settle(dict(self._waiting))
                pause = FIRST_PAUSE_SECONDS
            except DatabaseUnavailable as error:
                logger.warning("%d outcomes wait for the database: %s", len(self._waiting), error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            if not self._waiting:
                self._filled.clear()
                self._empty.set()
            await asyncio.sleep(GATHER_SECONDS)

    async def _settle(self, outcomes: Mapping[Claim, Outcome]) -> None:
        results: dict[Claim, Mapping[str, Any]] = {}
        interrupted = []
        for claim, outcome in outcomes.items():
            if isinstance(outcome, JobFailed):
                await self._fail(claim, outcome)
            elif isinstance(outcome, Interrupted):
                interrupted.append(claim)
            else:
                results[claim] = outcome
        if interrupted:
            released = await self._queue.release(self._worker_id, interrupted)
            self._ended(interrupted, {_key(c) for c in interrupted if c.job_id not in released})
        if results:
            await self._complete(results)

    async def _complete(self, results: Mapping[Claim, Mapping[str, Any]]) -> None:
        try:
            lost = await self._queue.complete(results)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if len(results) > 1:
                # One result that cannot be stored must not hold up the others.
                for claim, result in results.items():
                    await self._complete({claim: result})
                return
            logger.exception("A result cannot be stored")
            for claim in results:
                await self._fail(
                    claim,
                    JobFailed(
                        f"The result cannot be stored: {type(error).__name__}",
                        code="internal",
                        permanent=True,
                    ),
                )
            return
        self._ended(results, lost)

    async def _fail(self, claim: Claim, error: JobFailed) -> None:
        logger.warning("Job %s failed: %s", claim.job_id, error)
        self._waiting[claim] = error
        try:
            await self._queue.fail(claim, error)
        except ClaimLost:
            self._ended([claim], {_key(claim)})
        except DatabaseUnavailable:
            raise
        except Exception:
            # Without heartbeats from here on, the job is rescued after its silence.
            logger.exception("The failure of job %s cannot be stored", claim.job_id)
            self._ended([claim], {_key(claim)})
        else:
            self._ended([claim], set())

    def _ended(self, claims: Iterable[Claim], lost: set[tuple[UUID, int]]) -> None:
        for claim in claims:
            outcome = self._waiting.pop(claim)
            if _key(claim) in lost:
                logger.warning("The claim of job %s was lost; its outcome is dropped", claim.job_id)
            self._on_settled(claim, None if _key(claim) in lost else outcome)


def _key(claim: Claim) -> tuple[UUID, int]:
    return claim.job_id, claim.attempt
