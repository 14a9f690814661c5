"""What a worker keeps alive, and what it drops."""

import asyncio

from handlers import forever

from lib.queue.worker_calls import ClaimLost, JobFailed


async def test_heartbeats_keep_a_long_job_out_of_stuck_jobs(db, running, enqueue, job, until):
    id = enqueue()
    async with running(forever):
        await until(lambda: job(id)["status"] == "processing")
        with db.transaction():
            db.execute("update public.job_queue set started_at = now() - interval '1 hour'")
            db.execute("update public.job_leases set heartbeat_at = now() - interval '1 hour'")
        fresh = "select from public.job_leases where heartbeat_at > now() - interval '1 minute'"
        await until(lambda: db.execute(fresh).fetchone() is not None)
        assert db.execute("select from public.stuck_jobs").fetchone() is None


async def test_a_lost_claim_is_dropped_at_the_next_heartbeat(db, running, enqueue, job, until):
    dropped = asyncio.Event()

    async def hang(_claim):
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()

    id = enqueue()
    async with running(hang):
        await until(lambda: job(id)["status"] == "processing")
        # Taken by somebody else: same row, a later attempt.
        with db.transaction():
            db.execute("update public.job_queue set attempts = 2 where id = %s", (id,))
            db.execute("update public.job_leases set attempt = 2, worker_id = null")
        async with asyncio.timeout(20):
            await dropped.wait()
    found = job(id)
    assert (found["status"], found["attempts"]) == ("processing", 2)


async def test_a_result_that_comes_too_late_changes_nothing(db, running, enqueue, job, until):
    go_on = asyncio.Event()

    async def wait(_claim):
        await go_on.wait()
        return {}

    id = enqueue()
    async with running(wait, heartbeat_seconds=3600) as worker:
        await until(lambda: job(id)["status"] == "processing")
        db.execute("update public.job_queue set attempts = 2 where id = %s", (id,))
        go_on.set()
        later = enqueue()
        await until(lambda: job(later)["status"] == "completed")
    assert job(id)["status"] == "processing"
    assert worker.processed == 1


async def test_cancelling_a_running_job_stops_it_and_undoes_what_runs_outside(
    db, running, enqueue, job, until
):
    class Handler:
        cancelled = None
        stopped = False

        async def __call__(self, claim):
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped = True

        async def cancel(self, claim):
            assert self.stopped
            self.cancelled = claim.job_id

    handler = Handler()
    id = enqueue()
    async with running(handler):
        await until(lambda: job(id)["status"] == "processing")
        db.execute("select public.cancel_jobs('tester', array[%s]::uuid[])", (id,))
        await until(lambda: handler.cancelled == id)
    assert job(id)["status"] == "cancelled"


async def test_a_claim_lost_to_another_worker_undoes_nothing_outside(
    db, running, enqueue, job, until
):
    class Handler:
        dropped = asyncio.Event()
        cancelled = False

        async def __call__(self, claim):
            try:
                await asyncio.Event().wait()
            finally:
                self.dropped.set()

        async def cancel(self, claim):
            self.cancelled = True

    handler = Handler()
    id = enqueue()
    async with running(handler):
        await until(lambda: job(id)["status"] == "processing")
        with db.transaction():
            db.execute("update public.job_queue set attempts = 2 where id = %s", (id,))
            db.execute("update public.job_leases set attempt = 2, worker_id = null")
        async with asyncio.timeout(20):
            await handler.dropped.wait()
    assert not handler.cancelled


async def test_a_lost_claim_leaves_the_rest_of_a_batch_alone(db, make_worker, enqueue, job, until):
    ids = [enqueue() for _ in range(2)]
    lost = asyncio.Event()

    async def handle(claim):
        if claim.job_id == ids[0]:
            try:
                await asyncio.Event().wait()
            finally:
                lost.set()
        await lost.wait()
        return {}

    worker = make_worker(handle, kind="process-jobs")
    batch = asyncio.create_task(worker.run_batch())
    await until(lambda: job(ids[0])["status"] == "processing")
    db.execute("select public.cancel_jobs('tester', array[%s]::uuid[])", (ids[0],))
    async with asyncio.timeout(20):
        await batch
    assert [job(id)["status"] for id in ids] == ["cancelled", "completed"]
    assert worker.processed == 1


async def test_claims_lost_in_their_handlers_take_no_slots_for_ever(
    db, running, enqueue, job, until
):
    async def lose(claim):
        if claim.job_id != last:
            db.execute("select public.cancel_jobs('tester', array[%s]::uuid[])", (claim.job_id,))
            raise ClaimLost
        return {}

    for _ in range(5):
        enqueue()
    last = enqueue()
    async with running(lose, concurrency=1, heartbeat_seconds=3600):
        await until(lambda: job(last)["status"] == "completed")


async def test_a_job_deleted_while_it_runs_does_not_stop_the_worker(
    db, running, enqueue, job, until
):
    go_on = asyncio.Event()

    async def fail(claim):
        await go_on.wait()
        if claim.job_id == deleted:
            raise JobFailed("too late", code="internal")
        return {}

    deleted = enqueue()
    async with running(fail, heartbeat_seconds=3600):
        await until(lambda: job(deleted)["status"] == "processing")
        db.execute("delete from public.job_queue where id = %s", (deleted,))
        go_on.set()
        later = enqueue()
        await until(lambda: job(later)["status"] == "completed")
