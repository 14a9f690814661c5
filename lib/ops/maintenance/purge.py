"""Purges finished jobs in small batches, with pauses that adapt to the load."""

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
"""Stay below the time after which the database treats the run as interrupted."""


@dataclass(slots=True)
class Pace:
    """Adaptive batch size and pause.

    Batches aim at `batch_seconds` and use the share `duty` of the time. On a busy server batches
    take longer, which leads to smaller batches and longer pauses. Pauses for at least a second
    while a standby lags by more than `max_lag_seconds`.
    """

    batch_seconds: float = 0.05
    duty: float = 0.25
    max_lag_seconds: float = 5.0
    jobs: int = 200
    min_jobs: int = 20
    max_jobs: int = 5_000

    def next(self, seconds: float, lag_seconds: float = 0.0) -> float:
        """Adapt to the duration of the last batch and return the pause in seconds."""
        # At most doubled or halved: a single batch may have been blocked by something else.
        factor = min(max(self.batch_seconds / max(seconds, 1e-6), 0.5), 2.0)
        self.jobs = min(max(int(self.jobs * factor), self.min_jobs), self.max_jobs)
        rest = seconds * (1 - self.duty) / self.duty
        return max(rest, 1.0) if lag_seconds > self.max_lag_seconds else rest


class Purge:
    """A purge that starts on creation and runs in a background thread.

    Its progress is stored in the database, so every viewer can see and stop it. Raises QueryError
    for an age under a day or if another purge is running, and DatabaseUnavailable.
    """

    def __init__(
        self,
        url: str,
        actor: str,
        older_than: timedelta,
        on_end: Callable[[], object],
        pace: Pace | None = None,
    ) -> None:
        """Delete the first batch and start the thread, which calls `on_end` when it has ended."""
        self.jobs = 0
        """Jobs deleted so far."""
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
        """Wait until the purge has ended."""
        self._thread.join(seconds)

    def _batch(self, connection: Connection) -> float:
        """Delete one batch and return the pause in seconds."""
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
                logger.warning("The purge is waiting: %s", error)
                time.sleep(RETRY_SECONDS)
        if not self.ended:
            logger.error("The purge stopped: the database was unreachable for too long")
        self._on_end()
