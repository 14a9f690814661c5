"""The worker: claims jobs, runs them concurrently, sends heartbeats, releases what is left."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from uuid import UUID, uuid4

from lib.database import AsyncPool, DatabaseUnavailable
from lib.ops.alerts.watch import evaluate_and_notify, keep_evaluating_alerts
from lib.queue.worker_calls import Claim, ClaimLost, JobFailed, Queue
from lib.worker.background import attempt, cancel_and_wait, keep_running
from lib.worker.claiming import RECONNECT_SECONDS, Claiming, claim_jobs, keep_listening
from lib.worker.handlers import Cancellable, Handler, blocked_types
from lib.worker.registration import Registration
from lib.worker.rescue import keep_rescuing
from lib.worker.rollup import keep_rollup_fresh, refresh_rollup
from lib.worker.running import run_handler
from lib.worker.settlement import Interrupted, Outcome, Settlement

logger = logging.getLogger(__name__)

# With the default grace period they fit into the ten seconds after which Docker kills a container.
HANDLER_STOP_SECONDS = 4.0
"""How long a cancelled handler may take before it is cancelled again."""
SETTLE_TIMEOUT_SECONDS = 2.0
"""How long a stopping worker tries to store the outcomes of its jobs."""


class Worker:
    """A worker: a row in the workers table and the jobs that it has claimed.

    `heartbeat_pool` is only for heartbeats, so that they never wait behind queries of jobs.
    `rescue_seconds` is the time without a heartbeat after which it rescues other workers' jobs
    (None: the SQL function `stuck_after()`), `batch` the maximum number of jobs per claim, `locks`
    the folder of the workers' locks on the embedded database.
    """

    def __init__(
        self,
        pool: AsyncPool,
        heartbeat_pool: AsyncPool,
        handlers: Mapping[str, Handler],
        *,
        kind: str,
        concurrency: int,
        heartbeat_seconds: float,
        rescue_seconds: float | None,
        batch: int,
        locks: Path | None = None,
    ) -> None:
        self.id = uuid4()
        self.processed = 0
        self.errors = 0
        self._pool = pool
        self._queue = Queue(pool)
        self._heartbeat_queue = Queue(heartbeat_pool)
        self._registration = Registration(heartbeat_pool, self.id, locks)
        self._handlers = handlers
        self._kind = kind
        self._concurrency = concurrency
        self._heartbeat_seconds = heartbeat_seconds
        self._rescue_seconds = rescue_seconds
        self._held: set[Claim] = set()
        self._claimable: int | None = None
        self._claiming = Claiming(
            self._queue,
            self.id,
            self._claimable_types,
            batch=batch,
            held=self._held,
            start=self._start,
        )
        self._tasks: dict[Claim, asyncio.Task[None]] = {}
        self._cancelling: set[asyncio.Task[None]] = set()
        self._settlement = Settlement(self._queue, self.id, self._settled)
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def running(self) -> int:
        """The number of jobs that it holds: claimed, and their outcome not stored yet."""
        return len(self._held)

    @property
    def taken_by_batch(self) -> int:
        """The number of jobs that its batch holds or, until it has claimed them, may claim."""
        return self._claimable if self._claimable is not None else self.running

    def stop(self) -> None:
        """Stop claiming jobs and shut down; does not block."""
        self._stopping.set()
        self._wake.set()

    async def run(self, url: str, *, poll_seconds: float, stop_grace_seconds: float) -> None:
        """Run until stop(). `url` is the database to LISTEN on.

        Jobs unfinished after the grace period are released.
        """
        await self._register_when_available()
        intake_tasks = [
            self._keep("listen", lambda: keep_listening(url, self._wake)),
            self._keep("rescue", lambda: keep_rescuing(self._pool, self._rescue_seconds)),
            self._keep("history", lambda: keep_rollup_fresh(self._pool)),
        ]
        support_tasks = [
            # Cancelled after the drain: releasing jobs must not wait for alert deliveries.
            self._keep("alerts", lambda: keep_evaluating_alerts(self._pool)),
            *self._support_tasks(),
        ]
        try:
            await keep_running(
                "claim", lambda: self._keep_claiming(poll_seconds), self._pool, self._stopping
            )
        finally:
            await cancel_and_wait(intake_tasks)
            await self._drain(stop_grace_seconds)
            await cancel_and_wait(support_tasks)
        await self._unregister()

    def limit_batch(self, taken: int) -> None:
        """Let its batch claim `taken` jobs less than the concurrency limit."""
        self._claimable = max(self._concurrency - taken, 0)

    async def run_batch(self) -> None:
        """Run due jobs up to the limit; also rescue jobs, refresh rollups and evaluate alerts."""
        claimable = self._concurrency if self._claimable is None else self._claimable
        await self._register()
        await attempt("rescue", self._queue.rescue(self._rescue_seconds), self._pool)
        job_types = self._claimable_types()
        claims: list[Claim] = []
        if job_types and claimable:
            claims = await claim_jobs(self._queue, self.id, job_types, claimable)
        self._claimable = None  # From here on, what it holds counts.
        await self._run_claims(claims)
        if not self._stopping.is_set():
            await attempt("history", refresh_rollup(self._pool), self._pool)
            await attempt("alerts", evaluate_and_notify(self._pool), self._pool)

    async def run_generation(self, generation_id: UUID) -> bool:
        """Run the pending job of a generation; False if it has none.

        Raises QueryError DR409 if its job type is paused or its provider's circuit is open.
        """
        await self._register()
        claim = await self._queue.claim_generation(self.id, generation_id)
        await self._run_claims([claim] if claim else [])
        return claim is not None

    def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        return asyncio.create_task(keep_running(name, run, self._pool))

    def _support_tasks(self) -> list[asyncio.Task[None]]:
        return [
            self._keep("heartbeat", self._keep_heartbeating),
            self._keep("outcomes", self._settlement.run),
        ]

    async def _run_claims(self, claims: Collection[Claim]) -> None:
        support_tasks = self._support_tasks()
        for claim in claims:
            self._start(claim)
        try:
            while self._held and not self._stopping.is_set():
                self._wake.clear()
                await self._wake.wait()
        finally:
            await self._drain(0)
            await cancel_and_wait(support_tasks)
            await self._unregister()

    async def _keep_claiming(self, poll_seconds: float) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            if not await self._claim_free_slots():
                await self._sleep(poll_seconds)

    async def _claim_free_slots(self) -> bool:
        free = min(
            # A failure keeps its slot until it is stored: it may block what would be claimed next.
            self._concurrency - len(self._tasks) - self._settlement.failures,
            # Unsettled claims count too, or they would pile up.
            2 * self._concurrency - len(self._held),
        )
        return free > 0 and await self._claiming.claim(free)

    def _claimable_types(self) -> list[str]:
        return list(self._handlers.keys() - blocked_types(self._handlers).keys())

    def _start(self, claim: Claim) -> None:
        self._held.add(claim)
        self._tasks[claim] = asyncio.create_task(self._work(claim))

    async def _work(self, claim: Claim) -> None:
        try:
            self._settlement.add(claim, await run_handler(self._handlers[claim.job_type], claim))
        except ClaimLost as lost:
            logger.warning("Dropped a lost claim: %s", lost)
            self._held.discard(claim)
            await self._cancel_external_if_cancelled(claim)
        finally:
            del self._tasks[claim]
            self._wake.set()

    def _settled(self, claim: Claim, outcome: Outcome | None) -> None:
        self._held.discard(claim)
        if outcome is not None and not isinstance(outcome, Interrupted):
            self.processed += 1
            self.errors += isinstance(outcome, JobFailed)
        self._wake.set()

    async def _keep_heartbeating(self) -> None:
        while True:
            pause = self._heartbeat_seconds
            try:
                await self._heartbeat()
            except DatabaseUnavailable as error:
                logger.warning("No heartbeat: %s", error)
                pause = min(pause, RECONNECT_SECONDS)
            await asyncio.sleep(pause)

    async def _heartbeat(self) -> None:
        lost = await self._heartbeat_queue.heartbeat(self.id, list(self._held))
        for claim, task in list(self._tasks.items()):
            # For claims that ended meanwhile, the settlement finds out.
            if (claim.job_id, claim.attempt) in lost:
                status = lost[claim.job_id, claim.attempt]
                logger.warning("Job %s is %s now; dropping it", claim.job_id, status or "gone")
                self._held.discard(claim)
                task.cancel()
                if status == "cancelled":
                    cancelling = asyncio.create_task(self._cancel_external(claim, task))
                    self._cancelling.add(cancelling)
                    cancelling.add_done_callback(self._cancelling.discard)
        await self._registration.heartbeat(
            self.processed, self.errors, blocked_types(self._handlers)
        )

    async def _cancel_external_if_cancelled(self, claim: Claim) -> None:
        """Check why a handler lost its claim; on a cancellation, cancel its external work too."""
        try:
            lost = await self._heartbeat_queue.heartbeat(self.id, [claim])
        except DatabaseUnavailable as error:
            logger.warning("The outcome of job %s is unknown: %s", claim.job_id, error)
        else:
            if lost.get((claim.job_id, claim.attempt)) == "cancelled":
                await self._cancel_external(claim)

    async def _cancel_external(self, claim: Claim, after: asyncio.Task[None] | None = None) -> None:
        if after:
            await asyncio.wait([after])
        handler: object = self._handlers[claim.job_type]
        if isinstance(handler, Cancellable):
            try:
                await handler.cancel(claim)
            except DatabaseUnavailable as error:
                logger.warning("External work of job %s not cancelled: %s", claim.job_id, error)

    async def _drain(self, grace_seconds: float) -> None:
        if self._tasks and grace_seconds:
            logger.info(
                "Stopping: %d running jobs have %g s to finish, then %g s to return to the queue."
                " Wait longer before killing the process (docker stop -t, TimeoutStopSec)",
                *(len(self._tasks), grace_seconds, HANDLER_STOP_SECONDS + SETTLE_TIMEOUT_SECONDS),
            )
            await asyncio.wait(self._tasks.values(), timeout=grace_seconds)
        unfinished = dict(self._tasks)
        await cancel_and_wait(unfinished.values(), retry_after=HANDLER_STOP_SECONDS)
        for claim in unfinished:
            if claim in self._held:
                self._settlement.add(claim, Interrupted())
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_SECONDS):
                await self._settlement.wait_until_empty()
                await asyncio.gather(*self._cancelling)
        except TimeoutError:
            logger.error("%d jobs wait to be rescued: the database is unreachable", len(self._held))

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
                await self._sleep(RECONNECT_SECONDS)

    async def _register(self) -> None:
        await self._registration.register(self._kind, self._handlers.keys(), self._concurrency)

    async def _unregister(self) -> None:
        await self._registration.unregister(
            self.processed, self.errors, blocked_types(self._handlers)
        )
