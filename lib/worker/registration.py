"""A worker's row in the workers table."""

import logging
import os
import socket
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TextIO
from uuid import UUID

import psutil

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async
from lib.queue.worker_calls import storable
from lib.storage import Outage
from lib.worker.liveness import hold

logger = logging.getLogger(__name__)

PROJECT_FILE = Path(__file__).parents[2] / "pyproject.toml"
VERSION = str(tomllib.loads(PROJECT_FILE.read_text(encoding="utf-8"))["project"]["version"])


class Registration:
    """The row of one worker, and its lock in the folder `locks` if there is one.

    Every method except `unregister` raises DatabaseUnavailable.
    """

    def __init__(self, pool: AsyncPool, worker_id: UUID, locks: Path | None) -> None:
        self._pool = pool
        self._id = worker_id
        self._locks = locks
        self._lock: TextIO | None = None
        self._sql = load_async("worker")

    async def register(self, kind: str, job_types: Collection[str], concurrency: int) -> None:
        """Insert the row, and delete those of workers last seen more than a day ago."""
        self._take_lock()
        async with connected(self._pool) as connection:
            await self._sql.register_worker(
                connection,
                id=self._id,
                kind=kind,
                host=socket.gethostname(),
                pid=os.getpid(),
                process_started_at=psutil.Process().create_time(),
                version=VERSION,
                job_types=list(job_types),
                concurrency=concurrency,
            )
            await self._sql.forget_old_workers(connection)

    async def heartbeat(
        self, processed: int, errors: int, blocked: Mapping[str, Outage], *, stopped: bool = False
    ) -> None:
        """Update the last-seen time, the job counts and the job types that are not claimed."""
        outage = next(iter(blocked.values()), None)
        async with connected(self._pool) as connection:
            await self._sql.worker_seen(
                connection,
                id=self._id,
                processed=processed,
                errors=errors,
                blocked_types=list(blocked),
                storage_error=outage and storable(outage.reason or ""),
                storage_seconds=outage and outage.seconds,
                stopped=stopped,
            )

    async def unregister(self, processed: int, errors: int, blocked: Mapping[str, Outage]) -> None:
        """Mark the worker as stopped, and release the lock. A database failure is only logged."""
        try:
            await self.heartbeat(processed, errors, blocked, stopped=True)
        except DatabaseUnavailable as error:
            logger.warning("The worker could not be unregistered: %s", error)
        if self._lock:
            self._lock.close()

    def _take_lock(self) -> None:
        if self._locks is None or self._lock is not None:
            return
        try:
            self._lock = hold(self._locks, self._id)
        except OSError as error:
            logger.warning(
                "If this worker dies, its jobs wait until they count as stuck: %s", error
            )
