"""Store the outcomes of claims: in batches, retried until the database accepts them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lib.database import DatabaseUnavailable
from lib.queue.worker_calls import Claim, ClaimLost, JobFailed, Queue

logger = logging.getLogger(__name__)

BATCH_SECONDS = 0.005
"""Pause between settlements under load, so that each transaction ends more claims."""
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An attempt that ended for a reason unrelated to its job; the job is released."""


Outcome = Mapping[str, Any] | JobFailed | Interrupted
"""The result, the error, or neither if interrupted."""


class Settlement:
    """Queue of outcomes to store in the database.

    `on_settled` is called with each settled claim and its outcome, or None if the claim was lost.
    """

    def __init__(
        self, queue: Queue, worker_id: UUID, on_settled: Callable[[Claim, Outcome | None], None]
    ) -> None:
        self._queue = queue
        self._worker_id = worker_id
        self._on_settled = on_settled
        self._unsettled: dict[Claim, Outcome] = {}
        self._not_empty = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, claim: Claim, outcome: Outcome) -> None:
        """Enqueue an outcome; does not block."""
        self._unsettled[claim] = outcome
        self._empty.clear()
        self._not_empty.set()

    @property
    def failures(self) -> int:
        """Number of failures not yet stored."""
        return sum(isinstance(outcome, JobFailed) for outcome in self._unsettled.values())

    async def wait_until_empty(self) -> None:
        """Wait until every outcome has been settled."""
        await self._empty.wait()

    async def run(self) -> None:
        """Settle outcomes until cancelled."""
        delay = MIN_BACKOFF_SECONDS
        while True:
            await self._not_empty.wait()
            try:
                await self._settle(dict(self._unsettled))
                delay = MIN_BACKOFF_SECONDS
            except DatabaseUnavailable as error:
                logger.warning("%d outcomes wait for the database: %s", len(self._unsettled), error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, MAX_BACKOFF_SECONDS)
            if not self._unsettled:
                self._not_empty.clear()
                self._empty.set()
            await asyncio.sleep(BATCH_SECONDS)

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
            self._ended(
                interrupted, {_claim_key(c) for c in interrupted if c.job_id not in released}
            )
        if results:
            await self._complete(results)

    async def _complete(self, results: Mapping[Claim, Mapping[str, Any]]) -> None:
        try:
            lost = await self._queue.complete(results)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if len(results) > 1:
                # One result that cannot be stored must not block the others.
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
        self._unsettled[claim] = error
        try:
            await self._queue.fail(claim, error)
        except ClaimLost:
            self._ended([claim], {_claim_key(claim)})
        except DatabaseUnavailable:
            raise
        except Exception:
            # From now on it gets no heartbeats, so the job will be rescued.
            logger.exception("The failure of job %s cannot be stored", claim.job_id)
            self._ended([claim], {_claim_key(claim)})
        else:
            self._ended([claim], set())

    def _ended(self, claims: Iterable[Claim], lost: set[tuple[UUID, int]]) -> None:
        for claim in claims:
            outcome = self._unsettled.pop(claim)
            if _claim_key(claim) in lost:
                logger.warning("The claim of job %s was lost; its outcome is dropped", claim.job_id)
            self._on_settled(claim, None if _claim_key(claim) in lost else outcome)


def _claim_key(claim: Claim) -> tuple[UUID, int]:
    return claim.job_id, claim.attempt
