"""What a worker claims, and when."""

import asyncio

import pytest
from handlers import forever, succeed


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


@pytest.mark.parametrize("seconds", [60, None], ids=["as set", "as SQL says"])
async def test_takes_the_job_of_a_worker_that_fell_silent(
    db, running, enqueue, job, until, seconds
):
    id = enqueue()
    db.execute("select public.claim_next_job()")
    with db.transaction():
        db.execute("update public.job_queue set started_at = now() - interval '1 hour'")
        db.execute("update public.job_leases set heartbeat_at = now() - interval '1 hour'")
    async with running(succeed, rescue_seconds=seconds):
        await until(lambda: job(id)["status"] == "pending")
        db.execute("update public.job_queue set scheduled_at = now() where id = %s", (id,))
        await until(lambda: job(id)["status"] == "completed")
    found = job(id)
    assert found["attempts"] == 2
    assert found["error_details"]["attempts"][0]["details"]["code"] == "worker_lost"
