"""Behind a pooler that the URL does not give away: PgBouncer in transaction mode on port 6432."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pooler import pgbouncer

from lib.database import connect, listening, open_async_pool
from lib.worker.worker import Worker

JOBS = 60


@pytest.fixture
def pooled(database: str, tmp_path: Path, eventually: Callable[..., Any]) -> Iterator[str]:
    tmp_path.chmod(0o755)
    with pgbouncer(database, tmp_path, eventually, 6432) as url:
        yield url


def test_nothing_is_prepared_on_a_session_of_others(pooled):
    with connect(pooled) as connection:
        for number in range(20):
            connection.execute("select %s::int", [number])
        prepared = connection.execute("select count(*)::int as n from pg_prepared_statements")
        assert prepared.fetchone() == {"n": 0}


async def test_nothing_is_heard_and_that_is_known(pooled, database):
    async with listening(pooled, "channel") as behind, listening(database, "channel") as direct:
        assert (behind.hears, direct.hears) == (False, True)


async def test_a_worker_runs_its_jobs_at_the_first_attempt(pooled, db):
    db.execute("select enqueue_job('test', '{}') from generate_series(1, %s)", [JOBS])
    ended = 0

    async def succeed(claim):
        nonlocal ended
        ended += 1
        return {}

    async with await open_async_pool(pooled) as pool:
        worker = Worker(
            pool, pool, {"test": succeed}, kind="worker", concurrency=10,
            heartbeat_seconds=0.05, rescue_seconds=600, batch=5,
        )  # fmt: skip
        running = asyncio.create_task(worker.run(pooled, poll_seconds=0.05, stop_grace_seconds=1))
        async with asyncio.timeout(20):
            while ended < JOBS:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        worker.stop()
        await running
    counted = "select status, attempts, count(*)::int as jobs from job_queue group by 1, 2"
    assert db.execute(counted).fetchall() == [{"status": "completed", "attempts": 1, "jobs": JOBS}]
