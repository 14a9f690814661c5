"""How a worker ends, and how a batch does."""

import asyncio
from contextlib import suppress

import pytest
from handlers import forever, succeed

from lib.settings.catalogue import SETTINGS
from lib.worker import worker as worker_module
from lib.worker.worker import HANDLER_STOP_SECONDS, SETTLE_TIMEOUT_SECONDS


async def test_stopping_gives_unfinished_jobs_back_without_using_up_a_try(
    db, running, enqueue, job, until
):
    id = enqueue(max_attempts=1)
    async with running(forever):
        await until(lambda: job(id)["status"] == "processing")
    found = job(id)
    assert (found["status"], found["attempts"], found["max_attempts"]) == ("pending", 1, 2)
    assert db.execute("select from public.job_leases").fetchone() is None
    assert db.execute("select stopped_at from public.workers").fetchone()["stopped_at"]


def test_a_default_stop_is_over_before_docker_kills_the_container():
    grace = SETTINGS["DARKROOM_STOP_GRACE_SECONDS"].default
    assert grace + HANDLER_STOP_SECONDS + SETTLE_TIMEOUT_SECONDS < 10


@pytest.mark.slow
async def test_a_default_stop_ends_in_time_though_a_handler_goes_on(running, enqueue, job, until):
    async def stubborn(_claim):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    id = enqueue()
    async with running(stubborn, grace=SETTINGS["DARKROOM_STOP_GRACE_SECONDS"].default) as worker:
        await until(lambda: job(id)["status"] == "processing")
        began = asyncio.get_running_loop().time()
        worker.stop()
    assert asyncio.get_running_loop().time() - began < 10
    assert (job(id)["status"], job(id)["max_attempts"]) == ("pending", 4)


async def test_stopping_lets_a_job_end_within_the_grace(
    running, enqueue, job, until, listening, caplog
):
    caplog.set_level("INFO")
    go_on = asyncio.Event()

    async def wait(_claim):
        await go_on.wait()
        return {}

    id = enqueue()
    async with running(wait, grace=20) as worker:
        await until(lambda: job(id)["status"] == "processing")
        await until(listening)
        worker.stop()
        await until(lambda: not listening())
        go_on.set()
    assert job(id)["status"] == "completed"
    assert "1 running jobs have 20 s to finish" in caplog.text


async def test_a_handler_that_misses_being_stopped_is_stopped_again(
    running, enqueue, job, until, monkeypatch
):
    monkeypatch.setattr(worker_module, "HANDLER_STOP_SECONDS", 0.05)
    missed = 0
    over = asyncio.Event()

    async def deaf(_claim):
        nonlocal missed
        while missed < 2 and not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                missed += 1
        await over.wait()

    id = enqueue()
    try:
        async with asyncio.timeout(20), running(deaf):
            await until(lambda: job(id)["status"] == "processing")
    finally:
        over.set()
    assert (job(id)["status"], missed) == ("pending", 2)


async def test_a_batch_takes_what_fits_and_ends(db, make_worker, enqueue, job):
    ids = [enqueue() for _ in range(3)]
    worker = make_worker(succeed, kind="process-jobs", concurrency=2)
    await worker.run_batch()
    assert worker.processed == 2
    assert [job(id)["status"] for id in ids] == ["completed", "completed", "pending"]
    row = db.execute("select kind, processed, stopped_at from public.workers").fetchone()
    assert (row["kind"], row["processed"]) == ("process-jobs", 2)
    assert row["stopped_at"]


async def test_a_stopped_batch_gives_its_jobs_back(make_worker, enqueue, job, until):
    id = enqueue()
    worker = make_worker(forever, kind="process-jobs")
    batch = asyncio.create_task(worker.run_batch())
    await until(lambda: job(id)["status"] == "processing")
    worker.stop()
    async with asyncio.timeout(20):
        await batch
    assert job(id)["status"] == "pending"


async def test_a_batch_shows_no_life_after_its_end(db, make_worker, enqueue, until):
    def seen(worker):
        query = "select last_seen_at from public.workers where id = %s"
        return db.execute(query, (worker.id,)).fetchone()

    enqueue()
    ended = make_worker(succeed, kind="process-jobs")
    await ended.run_batch()
    end = seen(ended)
    enqueue()
    other = make_worker(forever, kind="process-jobs")
    batch = asyncio.create_task(other.run_batch())
    for _ in range(4):
        before = seen(other)
        await until(lambda before=before: seen(other) not in (before, None))
    other.stop()
    await batch
    assert seen(ended) == end
