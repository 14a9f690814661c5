"""The worker: claims jobs, runs several at a time, keeps their leases alive, ends them."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import psutil

from lib.database import (
    AsyncPool,
    DatabaseError,
    DatabaseUnavailable,
    QueryError,
    load_async,
    notifications,
    translated,
)
from lib.jobs import Claim, ClaimLost, JobFailed, Queue

logger = logging.getLogger(__name__)

VERSION = "0.1.0"
Handler = Callable[[Claim], Awaitable[Mapping[str, Any]]]
"""Runs one job and returns its result; raises JobFailed or ClaimLost."""


class Worker:
    """One worker: an identity in the workers table and the jobs that it holds."""

    def __init__(
        self,
        pool: AsyncPool,
        handlers: Mapping[str, Handler],
        *,
        kind: str,
        concurrency: int,
        heartbeat_seconds: float,
    ) -> None:
        self.id = uuid4()
        self.processed = 0
        self.errors = 0
        self._pool = pool
        self._queue = Queue(pool)
        self._sql = load_async("worker")
        self._handlers = handlers
        self._kind = kind
        self._concurrency = concurrency
        self._heartbeat_seconds = heartbeat_seconds
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Asks the worker to claim nothing more and to end; returns at once."""
        self._stopping.set()
        self._wake.set()

    async def run(self, url: str, *, poll_seconds: float, stop_grace_seconds: float) -> None:
        """Works until stop(). `url` is where NOTIFY is listened for.

        Jobs that are unfinished after the grace are given back to the queue.
        """
        await self._register_when_available()
        async with asyncio.TaskGroup() as helpers:
            listening = helpers.create_task(self._listen(url))
            beating = helpers.create_task(self._beat())
            while not self._stopping.is_set():
                self._wake.clear()
                if not await self._claim_free_slots():
                    await self._sleep(poll_seconds)
            listening.cancel()
            await self._drain(stop_grace_seconds)
            beating.cancel()
        await self._goodbye()

    async def run_batch(self) -> None:
        """Claims as many due jobs as run at the same time, runs them, and ends."""
        await self._register()
        claims = await self._queue.claim(self.id, self._handlers.keys(), self._concurrency)
        await self._finish(claims)

    async def run_generation(self, generation_id: UUID) -> bool:
        """Runs the pending job of one generation; False when it has none."""
        await self._register()
        claim = await self._queue.claim_generation(self.id, generation_id)
        await self._finish([claim] if claim else [])
        return claim is not None

    async def _finish(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._start(claim)
        beating = asyncio.create_task(self._beat())
        try:
            await asyncio.gather(*self._running)
        finally:
            await self._drain(0)
            beating.cancel()
            await self._goodbye()

    async def _claim_free_slots(self) -> bool:
        free = self._concurrency - len(self._running)
        if not free:
            return False
        try:
            claims = await self._queue.claim(self.id, self._handlers.keys(), free)
        except DatabaseUnavailable as error:
            logger.warning("Cannot claim jobs: %s", error)
            return False
        for claim in claims:
            self._start(claim)
        return bool(claims)

    def _start(self, claim: Claim) -> None:
        task = asyncio.create_task(self._work(claim), name=f"job {claim.job_id}")
        self._running[task] = claim
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        # A cancelled task keeps its claim until it is given back.
        if not task.cancelled():
            self._running.pop(task, None)
        self._wake.set()

    async def _work(self, claim: Claim) -> None:
        try:
            result = await self._attempt(claim)
            if isinstance(result, JobFailed):
                self.errors += 1
                logger.warning("Job %s failed: %s", claim.job_id, result)
                await self._queue.fail(claim, result)
            else:
                await self._queue.complete(claim, result)
            self.processed += 1
        except ClaimLost as lost:
            logger.warning("Dropped a lost claim: %s", lost)
        except DatabaseError as error:
            # The lease runs out and the job is taken up again.
            logger.error("Could not end job %s: %s", claim.job_id, error)

    async def _attempt(self, claim: Claim) -> Mapping[str, Any] | JobFailed:
        try:
            return await self._handlers[claim.job_type](claim)
        except JobFailed as error:
            return error
        except QueryError as error:
            return JobFailed(error.message, code="invalid_payload", permanent=True)
        except (ClaimLost, DatabaseUnavailable):
            raise
        except Exception as error:
            # Whatever a handler did wrong costs its job an attempt, not the worker its life.
            logger.exception("Job %s broke its handler", claim.job_id)
            return JobFailed(f"Unexpected error: {type(error).__name__}", code="internal")

    async def _listen(self, url: str) -> None:
        while True:
            try:
                async for _ in notifications(url, "job_queue"):
                    self._wake.set()
            except DatabaseUnavailable as error:
                logger.warning("Not woken by NOTIFY for now: %s", error)
            await asyncio.sleep(1)

    async def _beat(self) -> None:
        while True:
            try:
                await self._heartbeat()
            except DatabaseUnavailable as error:
                logger.warning("No heartbeat: %s", error)
            await asyncio.sleep(self._heartbeat_seconds)

    async def _heartbeat(self) -> None:
        lost = await self._queue.heartbeat(self.id, list(self._running.values()))
        for task, claim in list(self._running.items()):
            if claim.job_id in lost and not task.done():
                logger.warning("Claim of job %s lost; dropping it", claim.job_id)
                task.cancel()
                del self._running[task]
        await self._record(self._sql.worker_seen)

    async def _drain(self, grace_seconds: float) -> None:
        if self._running and grace_seconds:
            await asyncio.wait(self._running, timeout=grace_seconds)
        unfinished = dict(self._running)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if not unfinished:
            return
        try:
            released = await self._queue.release(self.id, list(unfinished.values()))
            logger.info("Gave %d unfinished jobs back", len(released))
        except DatabaseUnavailable as error:
            logger.error("Could not give %d jobs back: %s", len(unfinished), error)
        self._running.clear()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    async def _register_when_available(self) -> None:
        while not self._stopping.is_set():
            try:
                return await self._register()
            except DatabaseUnavailable as error:
                logger.warning("Waiting for the database: %s", error)
                await self._sleep(1)

    async def _register(self) -> None:
        with translated():
            async with self._pool.connection() as connection:
                await self._sql.register_worker(
                    connection,
                    id=self.id,
                    kind=self._kind,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    process_started_at=psutil.Process().create_time(),
                    version=VERSION,
                    job_types=list(self._handlers),
                    concurrency=self._concurrency,
                )
                await self._sql.forget_old_workers(connection)

    async def _goodbye(self) -> None:
        try:
            await self._record(self._sql.worker_stopped)
        except DatabaseUnavailable as error:
            logger.warning("Could not sign off: %s", error)

    async def _record(self, statement: Callable[..., Awaitable[Any]]) -> None:
        with translated():
            async with self._pool.connection() as connection:
                await statement(
                    connection, id=self.id, processed=self.processed, errors=self.errors
                )
