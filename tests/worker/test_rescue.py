"""Jobs of workers on the embedded database that died without a word."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from uuid import uuid4

import pytest

from lib.database import DatabaseUnavailable, open_async_pool
from lib.worker.liveness import hold
from lib.worker.rescue import rescue_dead_workers

HOLD = """
import sys
from pathlib import Path
from uuid import UUID
from lib.worker.liveness import hold
file = hold(Path(sys.argv[1]), UUID(sys.argv[2]))
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def register(db):
    """Register a worker of a process, and let it claim a job; returns the job's ID."""

    def claim(worker_id):
        db.execute(
            """
            insert into public.workers
                (id, kind, host, pid, process_started_at, version, job_types, concurrency)
            values (%s, 'worker', 'elsewhere', 1, now(), '0', '{test}', 1)
            """,
            (worker_id,),
        )
        row = db.execute(
            "select id from public.claim_next_job(p_worker_id => %s)", (worker_id,)
        ).fetchone()
        return row["id"]

    return claim


async def test_takes_the_jobs_of_a_killed_process(pool, register, enqueue, job, tmp_path):
    enqueue()
    worker_id = uuid4()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, tmp_path, str(worker_id), stdin=PIPE, stdout=PIPE
    )
    assert await process.stdout.readline()
    id = register(worker_id)
    assert await rescue_dead_workers(pool, tmp_path) == 0
    process.kill()
    await process.wait()
    assert await rescue_dead_workers(pool, tmp_path) == 1
    found = job(id)
    assert (found["status"], found["attempts"]) == ("pending", 1)
    assert "lost" in found["error_message"]
    assert list(tmp_path.iterdir()) == []


async def test_a_worker_without_a_lock_is_left_to_its_heartbeats(pool, register, enqueue, tmp_path):
    """Such as one whose DATABASE_URL names the embedded server."""
    enqueue()
    register(uuid4())
    assert await rescue_dead_workers(pool, tmp_path) == 0


async def test_jobs_are_taken_later_if_the_database_is_away(
    database, pool, register, enqueue, job, tmp_path, database_away
):
    enqueue()
    worker_id = uuid4()
    id = register(worker_id)
    hold(tmp_path, worker_id).close()
    impatient = await open_async_pool(database, wait=0.2, application_name="darkroom worker")
    async with impatient:
        with database_away(), pytest.raises(DatabaseUnavailable):
            await rescue_dead_workers(impatient, tmp_path)
    assert await rescue_dead_workers(pool, tmp_path) == 1
    assert job(id)["status"] == "pending"


async def test_a_stopped_worker_is_not_dead_before_it_has_signed_off(
    running, enqueue, job, pool, until, tmp_path
):
    async def handler(_claim):
        return {}

    id = enqueue()
    async with running(handler, locks=tmp_path):
        await until(lambda: job(id)["status"] == "completed")
        assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
        assert await rescue_dead_workers(pool, tmp_path) == 0
        assert list(tmp_path.iterdir())
    await rescue_dead_workers(pool, tmp_path)
    assert list(tmp_path.iterdir()) == []
