"""Purging finished jobs beside the queue: small batches, with rests that grow with the load."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread

from lib.database import Connection, DatabaseUnavailable, connect, load, translated

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
GIVE_UP_SECONDS = 500.0
"""Before the database would take the run for an interrupted one."""


@dataclass(slots=True)
class Pace:
    """How large the next batch is, and how long to rest before it.

    A batch is to take `batch_seconds`; of the whole time the share `duty` goes to batches. On a
    busy server a batch takes longer, so that both fewer jobs and longer rests follow. A standby
    that lags by more than `most_lag_seconds` is waited for.
    """

    batch_seconds: float = 0.05
    duty: float = 0.25
    max_lag_seconds: float = 5.0
    jobs: int = 200
    min_jobs: int = 20
    max_jobs: int = 5_000

    def next(self, seconds: float, lag_seconds: float = 0.0) -> float:
        """Takes in how long a batch took, and returns the rest in seconds."""
        # At most doubled or halved, as one batch may have waited for something else.
        factor = min(max(self.batch_seconds / max(seconds, 1e-6), 0.5), 2.0)
        self.jobs = min(max(int(self.jobs * factor), self.min_jobs), self.max_jobs)
        rest = seconds * (1 - self.duty) / self.duty
        return max(rest, 1.0) if lag_seconds > self.max_lag_seconds else rest


class Purge:
    """One purge, begun when it is made; it goes on whether or not anyone watches.

    The database knows how far it is, so that every viewer sees it and may stop it. Raises
    QueryError for an age under a day, or when someone else purges; DatabaseUnavailable.
    """

    def __init__(
        self,
        url: str,
        actor: str,
        older_than: timedelta,
        on_end: Callable[[], object],
        pace: Pace | None = None,
    ) -> None:
        """`on_end` is called in the purge's thread when it has ended."""
        self.jobs = 0
        """Deleted so far."""
        self.ended = False
        self._url, self._actor, self._older_than = url, actor, older_than
        self._on_end = on_end
        self._pace = pace or Pace()
        self._run: int | None = None
        with connect(url, application_name="darkroom purge") as connection:
            self._batch(connection)
        self._thread = Thread(target=self._run_batches, name="purge", daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Waits until it has ended."""
        self._thread.join(seconds)

    def _batch(self, connection: Connection) -> float:
        """Deletes one batch and returns how long to rest, in seconds."""
        began = time.perf_counter()
        with translated():
            done = load("maintenance").purge_finished_jobs(
                connection,
                actor=self._actor,
                older_than=self._older_than,
                most=self._pace.jobs,
                run=self._run,
            )
            seconds = time.perf_counter() - began
            lag = load("maintenance").replication_lag(connection)
        self._run, self.jobs, self.ended = done["run"], done["total"], done["ended"]
        return self._pace.next(seconds, lag or 0.0)

    def _run_batches(self) -> None:
        last_contact = time.monotonic()
        while not self.ended and time.monotonic() - last_contact < GIVE_UP_SECONDS:
            try:
                with connect(self._url, application_name="darkroom purge") as connection:
                    while not self.ended:
                        time.sleep(self._batch(connection))
                        last_contact = time.monotonic()
            except DatabaseUnavailable as error:
                logger.warning("The purge waits: %s", error)
                time.sleep(RETRY_SECONDS)
        if not self.ended:
            logger.error("The purge is given up: the database has been away for too long")
        self._on_end()
