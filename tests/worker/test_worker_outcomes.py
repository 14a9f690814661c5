"""What a worker writes down of jobs that ended, and what it does while the database is away."""

import asyncio

from handlers import succeed

from lib.database import translated
from lib.queue.worker_calls import JobFailed


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


async def test_an_outcome_waits_for_a_database_that_is_away(
    running, enqueue, job, until, database_away, caplog
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
            await until(lambda: "1 outcomes wait for the database" in caplog.text)
        await until(lambda: worker.processed == 1)
    found = job(id)
    assert (found["status"], found["attempts"]) == ("completed", 1)


async def test_a_job_interrupted_by_the_database_is_given_back_and_runs_again(
    pool, running, enqueue, job, until, database_away, caplog
):
    running_now, away = asyncio.Event(), asyncio.Event()

    async def query(claim):
        if claim.attempt == 1:
            running_now.set()
            await away.wait()
            with translated():
                async with pool.connection(timeout=0.1) as connection:
                    await connection.execute("select 1")
        return {}

    id = enqueue(max_attempts=1)
    async with running(query):
        await until(running_now.is_set)
        with database_away():
            away.set()
            await until(lambda: f"Job {id} interrupted" in caplog.text)
        await until(lambda: job(id)["status"] == "completed")
    assert job(id)["attempts"] == 2
