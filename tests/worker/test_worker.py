"""The worker on real PostgreSQL: what it claims, keeps alive, ends, drops and gives back."""

import asyncio

import pytest

from lib.database import translated
from lib.jobs import Claim, ClaimLost, JobFailed
from lib.worker import worker as worker_module


async def forever(_claim: Claim):
    await asyncio.Event().wait()


async def succeed(_claim: Claim):
    return {}


async def test_runs_jobs_at_the_same_time(running, enqueue, job, until):
    together = asyncio.Barrier(3)

    async def meet(_claim):
        await together.wait()
        return {}

    ids = [enqueue() for _ in range(3)]
    async with running(meet):
        await until(lambda: all(job(id)["status"] == "completed" for id in ids))


async def test_never_runs_more_jobs_than_its_concurrency(running, enqueue, job, until):
    now, most = 0, 0

    async def count(_claim):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return {}

    ids = [enqueue() for _ in range(7)]
    async with running(count, concurrency=2):
        await until(lambda: all(job(id)["status"] == "completed" for id in ids))
    assert most == 2


@pytest.fixture
def listening(db):
    """Whether a worker waits for notifications."""
    query = (
        "select from pg_stat_activity"
        " where application_name like 'darkroom listening%' and query ilike 'listen%'"
    )
    return lambda: db.execute(query).fetchone() is not None


async def test_is_woken_by_notify_without_waiting_for_its_poll(
    running, enqueue, job, until, listening
):
    async with running(succeed, poll_seconds=3600):
        await until(listening)
        # The first wake, once listening, is over when a first job has ended.
        for _ in range(2):
            id = enqueue()
            await until(lambda id=id: job(id)["status"] == "completed")


async def test_finds_due_jobs_by_polling_where_nothing_notifies(db, running, job, until, listening):
    insert = "insert into public.job_queue (job_type) values ('test') returning id"
    async with running(succeed):
        await until(listening)
        # The end of a job wakes the worker too: only a later one needs the poll.
        for _ in range(3):
            id = db.execute(insert).fetchone()["id"]
            await until(lambda id=id: job(id)["status"] == "completed")


async def test_claims_no_more_than_a_batch_at_once(db, running, enqueue, until):
    for _ in range(5):
        enqueue()
    # Those of one claim were written by one transaction.
    claimed = (
        "select count(*) from public.job_queue where status = 'processing' group by xmin::text"
    )
    async with running(forever, concurrency=5, batch=2):
        await until(lambda: sum(row["count"] for row in db.execute(claimed)) == 5)
        assert max(row["count"] for row in db.execute(claimed)) == 2


async def test_results_that_wait_to_be_stored_hold_up_the_claims(db, running, enqueue, job, until):
    ids = [enqueue() for _ in range(10)]
    claims = []
    go_on = asyncio.Event()

    async def wait(claim):
        claims.append(claim)
        await go_on.wait()
        return {}

    seen = "select last_seen_at from public.workers"
    async with running(wait, concurrency=2):
        await until(lambda: len(claims) == 2)
        with db.transaction():
            db.execute("select from public.job_queue where id = %s for update", (claims[0].job_id,))
            go_on.set()
            await until(lambda: len(claims) == 4)
            # It polls as often as it beats.
            for _ in range(5):
                before = db.execute(seen).fetchone()
                await until(lambda before=before: db.execute(seen).fetchone() != before)
            assert len(claims) == 4
        await until(lambda: all(job(id)["status"] == "completed" for id in ids))


async def test_leaves_other_types_of_jobs_alone(db, running, enqueue, job, until):
    other = db.execute("select public.enqueue_job('other', '{}') as id").fetchone()["id"]
    ours = enqueue()
    async with running(succeed):
        await until(lambda: job(ours)["status"] == "completed")
    assert job(other)["status"] == "pending"


async def test_a_passing_failure_waits_for_another_attempt(running, enqueue, job, until):
    async def fail(_claim):
        raise JobFailed("the provider is busy", code="rate_limited", retry_after=120)

    id = enqueue()
    async with running(fail) as worker:
        await until(lambda: job(id)["error_message"])
        await until(lambda: worker.errors == 1)
    found = job(id)
    assert (found["status"], found["attempts"]) == ("pending", 1)
    assert (found["scheduled_at"] - found["updated_at"]).total_seconds() >= 119
    assert found["error_details"]["attempts"][0]["error"] == "the provider is busy"


async def test_a_permanent_failure_is_tried_once(running, enqueue, job, until):
    async def fail(_claim):
        raise JobFailed("no such model", code="model_not_found", permanent=True)

    id = enqueue()
    async with running(fail):
        await until(lambda: job(id)["status"] == "failed")
    assert job(id)["attempts"] == 1


async def test_a_broken_handler_costs_an_attempt_and_tells_no_secret(running, enqueue, job, until):
    async def broken(_claim):
        raise ValueError("token r8_secret")

    id = enqueue(max_attempts=1)
    async with running(broken):
        await until(lambda: job(id)["status"] == "failed")
    assert job(id)["error_message"] == "Unexpected error: ValueError"


async def test_an_error_message_with_unstorable_characters_is_kept(running, enqueue, job, until):
    async def fail(_claim):
        raise JobFailed("nul \x00, surrogate \ud800", code="internal", permanent=True)

    id = enqueue()
    async with running(fail):
        await until(lambda: job(id)["status"] == "failed")
    assert job(id)["error_message"] == "nul , surrogate ?"


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


async def test_stopping_lets_a_job_end_within_the_grace(running, enqueue, job, until, listening):
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


async def test_a_handler_that_misses_being_stopped_is_stopped_again(
    running, enqueue, job, until, monkeypatch
):
    monkeypatch.setattr(worker_module, "HANDLER_END_SECONDS", 0.05)
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


async def test_goes_on_after_all_its_connections_were_cut(db, running, enqueue, job, until):
    cut = """
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'darkroom %'
    """
    async with running(succeed) as worker:
        first = enqueue()
        await until(lambda: job(first)["status"] == "completed")
        assert db.execute(cut).fetchall()
        second = enqueue()
        await until(lambda: job(second)["status"] == "completed")
        await until(lambda: worker.processed == 2)


async def test_a_batch_takes_what_fits_and_ends(db, make_worker, enqueue, job):
    ids = [enqueue() for _ in range(3)]
    worker = make_worker(succeed, kind="process-jobs", concurrency=2)
    await worker.run_batch()
    assert worker.processed == 2
    assert [job(id)["status"] for id in ids] == ["completed", "completed", "pending"]
    row = db.execute("select kind, processed, stopped_at from public.workers").fetchone()
    assert (row["kind"], row["processed"]) == ("process-jobs", 2)
    assert row["stopped_at"]


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


async def test_takes_the_job_of_a_worker_that_fell_silent(db, running, enqueue, job, until):
    id = enqueue()
    db.execute("select public.claim_next_job()")
    with db.transaction():
        db.execute("update public.job_queue set started_at = now() - interval '1 hour'")
        db.execute("update public.job_leases set heartbeat_at = now() - interval '1 hour'")
    async with running(succeed, rescue_seconds=60):
        await until(lambda: job(id)["status"] == "pending")
        db.execute("update public.job_queue set scheduled_at = now() where id = %s", (id,))
        await until(lambda: job(id)["status"] == "completed")
    found = job(id)
    assert found["attempts"] == 2
    assert found["error_details"]["attempts"][0]["details"]["code"] == "worker_lost"


async def test_an_outcome_waits_for_a_database_that_is_away(
    running, enqueue, job, until, database_away
):
    go_on = asyncio.Event()

    async def wait(_claim):
        await go_on.wait()
        return {}

    id = enqueue()
    async with running(wait) as worker:
        await until(lambda: job(id)["status"] == "processing")
        with database_away():
            go_on.set()
            await asyncio.sleep(0.5)
        await until(lambda: worker.processed == 1)
    found = job(id)
    assert (found["status"], found["attempts"]) == ("completed", 1)


async def test_a_job_interrupted_by_the_database_is_given_back_and_runs_again(
    pool, running, enqueue, job, until, database_away
):
    interrupted = asyncio.Event()

    async def query(claim):
        if claim.attempt == 1:
            interrupted.set()
            await asyncio.sleep(0.2)
            with translated():
                async with pool.connection(timeout=0.1) as connection:
                    await connection.execute("select 1")
        return {}

    id = enqueue(max_attempts=1)
    async with running(query):
        await until(interrupted.is_set)
        with database_away():
            await asyncio.sleep(0.5)
        await until(lambda: job(id)["status"] == "completed")
    assert job(id)["attempts"] == 2


async def test_a_result_that_cannot_be_stored_fails_its_job_alone(running, enqueue, job, until):
    together = asyncio.Barrier(2)

    async def odd(claim):
        await together.wait()
        return {"image_url": "nul \x00"} if claim.job_id == bad else {}

    bad, good = enqueue(), enqueue()
    async with running(odd):
        await until(lambda: job(bad)["status"] == "failed")
        await until(lambda: job(good)["status"] == "completed")
    assert "cannot be stored" in job(bad)["error_message"]


async def test_a_payload_that_python_cannot_hold_fails_its_job_alone(db, running, until):
    async def read(claim):
        return {"image_url": str(claim.payload)}

    db.execute("""select public.enqueue_job('test', '{"n": 1e5000}')""")
    ended = "select status, error_message from public.job_queue"
    async with running(read):
        await until(lambda: db.execute(ended).fetchone()["status"] == "failed")
    assert "payload cannot be read" in db.execute(ended).fetchone()["error_message"]


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
