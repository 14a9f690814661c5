"""What breaks one job, one table or one task does not stop the worker."""

import asyncio

import pytest

from lib.worker import background
from lib.worker.background import keep_running

REFUSE = """
create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'not today'; end $$;
create trigger refuse before update on {} for each row {} execute function refuse();
"""


async def succeed(claim):
    return {}


@pytest.fixture
def ended(db):
    def ended():
        return db.execute("select count(*)::int as n from job_queue where status = 'completed'"
                          ).fetchone()["n"]  # fmt: skip

    return ended


@pytest.fixture
def hurried(monkeypatch):
    """Folding many times a second, and short pauses after errors."""
    monkeypatch.setattr("lib.worker.rollup.REFRESH_SECONDS", 0.02)
    monkeypatch.setattr(background, "FIRST_PAUSE_SECONDS", 0.01)


async def test_a_job_that_the_database_refuses_is_set_aside(db, enqueue, running, until, ended):
    bad = enqueue()
    db.execute(REFUSE.format("job_queue", f"when (new.id = '{bad}')").encode())
    for _ in range(3):
        enqueue()
    async with running(succeed):
        await until(lambda: ended() == 3)
        enqueue()
        await until(lambda: ended() == 4)
    aside = db.execute("select job_id, step, error from set_aside_jobs").fetchall()
    assert aside == [{"job_id": bad, "step": "claim", "error": "not today"}]
    db.execute("drop trigger refuse on job_queue")
    db.execute("select retry_set_aside_jobs('0')")
    async with running(succeed):
        await until(lambda: ended() == 5)


async def test_process_jobs_goes_past_such_a_job(db, enqueue, make_worker, ended):
    bad = enqueue()
    enqueue()
    db.execute(REFUSE.format("job_queue", f"when (new.id = '{bad}')").encode())
    await make_worker(succeed, kind="process-jobs").run_batch()
    assert ended() == 1


async def test_an_added_constraint_stops_nothing_else(db, enqueue, running, until, ended):
    bad = enqueue()
    db.execute(f"alter table job_queue add check (id <> '{bad}' or status = 'pending')".encode())
    enqueue()
    async with running(succeed):
        await until(lambda: ended() == 1)


async def test_a_stuck_job_that_is_refused_keeps_no_other_from_its_rescue(db, enqueue):
    for _ in range(3):
        enqueue()
    claimed = db.execute("select id from claim_jobs(3, null, gen_random_uuid())").fetchall()
    db.execute("update job_queue set started_at = now() - interval '1 hour'")
    db.execute("update job_leases set heartbeat_at = now() - interval '1 hour'")
    bad = claimed[0]["id"]
    db.execute(REFUSE.format("job_queue", f"when (new.id = '{bad}')").encode())
    assert len(db.execute("select rescue_stuck_jobs()").fetchall()) == 2
    assert db.execute("select job_id, step from set_aside_jobs").fetchall() == [
        {"job_id": bad, "step": "rescue"}
    ]


async def test_a_task_that_fails_is_recorded_and_the_jobs_run(
    db, enqueue, running, until, ended, hurried
):
    db.execute(REFUSE.format("rollup_state", "").encode())
    enqueue()
    async with running(succeed):
        await until(lambda: ended() == 1)
        await until(
            lambda: db.execute(
                "select from background_errors where task = 'history' and times > 1"
            ).fetchall()
        )
        found = db.execute("select error from background_errors").fetchone()["error"]
        assert "not today" in found
        db.execute("drop trigger refuse on rollup_state")
        folded = "select from job_rollup where jobs = 1"
        await until(lambda: db.execute(folded).fetchall())


async def test_a_column_is_added_under_a_running_worker(
    db, enqueue, running, until, ended, listening
):
    async with running(succeed, poll_seconds=0.02):
        for number in range(1, 4):
            # Until its statements are prepared.
            for _ in range(8):
                done = ended()
                enqueue()
                await until(lambda done=done: ended() > done)
            db.execute(f"alter table job_queue add column tenant_{number} text".encode())
    assert ended() == 24


async def test_pauses_grow_and_end_with_the_stop(pool, monkeypatch):
    monkeypatch.setattr(background, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(background, "LONGEST_PAUSE_SECONDS", 0.1)
    stopping, began = asyncio.Event(), []

    async def fail():
        began.append(asyncio.get_running_loop().time())
        if len(began) == 6:
            stopping.set()
        raise ValueError("No.")

    await keep_running("test", fail, pool, stopping)
    assert len(began) == 6
    # A busy machine makes pauses longer, never shorter.
    assert began[5] - began[4] > 0.015
    assert began[1] - began[0] < 0.1


async def test_a_task_that_ends_is_not_run_again(pool):
    runs = []

    async def end():
        runs.append(1)

    await keep_running("test", end, pool)
    assert runs == [1]


async def test_a_refused_job_of_a_dead_worker_keeps_no_other_from_its_rescue(db, enqueue):
    worker = "00000000-0000-0000-0000-0000000000aa"
    for _ in range(3):
        enqueue()
    claimed = db.execute("select id from claim_jobs(3, null, %s)", [worker]).fetchall()
    db.execute(REFUSE.format("job_queue", f"when (new.id = '{claimed[1]['id']}')").encode())
    assert len(db.execute("select rescue_worker_jobs(%s)", [worker]).fetchall()) == 2
