"""A worker's entry in the workers table, by which operators and its peers know it."""

import logging
import os
import socket
import tomllib
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

import psutil

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async

logger = logging.getLogger(__name__)

PROJECT_FILE = Path(__file__).parents[2] / "pyproject.toml"
VERSION = str(tomllib.loads(PROJECT_FILE.read_text(encoding="utf-8"))["project"]["version"])


class Registration:
    """The entry of one worker. Every method but `end` raises DatabaseUnavailable."""

    def __init__(self, pool: AsyncPool, worker_id: UUID) -> None:
        self._pool = pool
        self._id = worker_id
        self._sql = load_async("worker")

    async def begin(self, kind: str, job_types: Collection[str], concurrency: int) -> None:
        """Writes the entry, and deletes those of workers that were last seen a day ago."""
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

    async def seen(self, processed: int, errors: int) -> None:
        """Shows life and the counts so far."""
        async with connected(self._pool) as connection:
            await self._sql.worker_seen(connection, id=self._id, processed=processed, errors=errors)

    async def end(self, processed: int, errors: int) -> None:
        """Says goodbye. While the database is away, nobody hears it."""
        try:
            async with connected(self._pool) as connection:
                await self._sql.worker_stopped(
                    connection, id=self._id, processed=processed, errors=errors
                )
        except DatabaseUnavailable as error:
            logger.warning("Could not sign off: %s", error)
