"""Jobs of workers that died without a word, on a machine where their death can be seen."""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE
from uuid import uuid4

import psutil

from lib.worker.rescue import rescue_dead_workers


def register(db, pid, started_at):
    worker_id = uuid4()
    db.execute(
        """
        insert into public.workers
            (id, kind, host, pid, process_started_at, version, job_types, concurrency)
        values (%s, 'worker', %s, %s, to_timestamp(%s), '0', '{test}', 1)
        """,
        (worker_id, socket.gethostname(), pid, started_at),
    )
    return worker_id


def claim(db, worker_id):
    return db.execute(
        "select id from public.claim_next_job(p_worker_id => %s)", (worker_id,)
    ).fetchone()["id"]


async def test_takes_the_jobs_of_a_dead_process(db, pool, enqueue, job):
    enqueue()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=PIPE)
    worker_id = register(db, process.pid, psutil.Process(process.pid).create_time())
    id = claim(db, worker_id)
    assert await rescue_dead_workers(pool) == 0
    await process.communicate(b"\n")
    assert await rescue_dead_workers(pool) == 1
    found = job(id)
    assert (found["status"], found["attempts"]) == ("pending", 1)


async def test_a_new_process_with_the_old_number_is_not_the_worker(db, pool, enqueue, job):
    enqueue(max_attempts=1)
    this = psutil.Process()
    id = claim(db, register(db, this.pid, this.create_time() - 60))
    assert await rescue_dead_workers(pool) == 1
    found = job(id)
    assert found["status"] == "failed"
    assert "died" in found["error_message"]
