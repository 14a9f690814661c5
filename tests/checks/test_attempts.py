"""The attempts of a job and their phases, from what the queue's own functions record."""

import json
from typing import Any
from uuid import UUID

import pytest

from lib.checks.attempts import Attempt, attempts_of
from lib.database import load
from lib.database.pool import Connection

WORKER = UUID(int=1)


@pytest.fixture
def queue(db: Connection) -> Connection:
    """An empty queue with one worker."""
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) values (%s, 'worker', 'box', 7, now(), '1', '{generate-image}', 1)",
        [WORKER],
    )
    return db


def value(db: Connection, statement: str, *args: Any) -> Any:
    row = db.execute(statement.encode(), args).fetchone()
    assert row is not None
    return next(iter(row.values()))


def generation(db: Connection) -> UUID:
    """The job of a new generation."""
    model = "black-forest-labs/flux-schnell"
    started = value(db, "select start_generation(null, 'fox', %s, p_source => 'test')", model)
    return UUID(started["job_id"])


def claim(db: Connection, *, seconds_ago: float = 0) -> None:
    """Claims the next job, as if it had been so long ago."""
    db.execute("update job_queue set scheduled_at = now() where status = 'pending'")
    db.execute("select claim_next_job(null, %s)", [WORKER])
    db.execute(
        "update job_queue set started_at = clock_timestamp() - %s * interval '1 second',"
        " scheduled_at = clock_timestamp() - (%s + 4) * interval '1 second'"
        " where status = 'processing'",
        [seconds_ago, seconds_ago],
    )


def attempts(db: Connection, job: UUID) -> list[Attempt]:
    queries = load("job")
    row = queries.job(db, id=job)
    made = list(queries.predictions(db, generation_id=row["generation_id"]))
    return attempts_of(row, list(queries.attempts(db, id=job)), made)


def lengths(attempt: Attempt) -> dict[str, int]:
    return {phase.name: round(phase.seconds) for phase in attempt.phases}


def predict(db: Connection, job: UUID, provider_id: str, started: float, ended: float) -> None:
    """A prediction of the running attempt; times in seconds ago, run for five seconds."""
    attempt = value(db, "select attempts from job_queue where id = %s", job)
    value(db, "select prediction from begin_generation(%s, %s)", job, attempt)
    value(db, "select record_prediction(%s, %s, %s)", job, attempt, provider_id)
    db.execute(
        "update predictions set created_at = clock_timestamp() - %s * interval '1 second',"
        " started_at = clock_timestamp() - %s * interval '1 second', status = 'succeeded',"
        " ended_at = clock_timestamp() - %s * interval '1 second', predict_seconds = 5"
        " where provider_id = %s",
        [started, started, ended, provider_id],
    )


def test_every_attempt_has_its_worker_its_prediction_and_its_end(queue: Connection) -> None:
    job = generation(queue)
    claim(queue, seconds_ago=20)
    details = json.dumps({"code": "rate_limited"})
    value(queue, "select complete_job(%s, false, 'slow down', %s)", job, details)
    queue.execute("delete from model_holds")
    claim(queue, seconds_ago=20)
    predict(queue, job, "p1", started=18, ended=3)
    value(queue, "select complete_job(%s)", job)
    first, second = attempts(queue, job)
    assert (first.number, first.outcome, first.error) == ("1", "failed: rate limited", "slow down")
    assert (first.worker, first.prediction) == ("box, pid 7", "")
    assert lengths(first) == {"Pending": 4, "Starting": 20}
    assert (second.number, second.outcome, second.prediction) == ("2", "completed", "p1")
    # The lease is gone; the prediction knows who sent it.
    assert second.worker == "box, pid 7"
    assert lengths(second) == {"Pending": 4, "Starting": 12, "Running": 5, "Storing": 3}


@pytest.mark.parametrize(
    "lost",
    [
        "select count(*) from rescue_worker_jobs('00000000-0000-0000-0000-000000000001')",
        "select count(*) from reset_stuck_jobs('Ada')",
    ],
)
def test_a_lost_attempt_has_its_worker_too(queue: Connection, lost: str) -> None:
    job = generation(queue)
    claim(queue, seconds_ago=1200)
    queue.execute("update job_leases set heartbeat_at = now() - interval '20 minutes'")
    value(queue, lost)
    first, second = attempts(queue, job)
    assert (first.worker, lengths(first)["Starting"]) == ("box, pid 7", 1200)
    assert (second.number, second.outcome) == ("2", "pending")


def test_a_running_attempt_goes_on_until_now(queue: Connection) -> None:
    job = generation(queue)
    claim(queue, seconds_ago=30)
    predict(queue, job, "p1", started=28, ended=0)
    queue.execute("update predictions set ended_at = null, predict_seconds = null")
    [running] = attempts(queue, job)
    assert (running.outcome, running.ended_at) == ("running", None)
    assert lengths(running) == {"Pending": 4, "Starting": 2, "Running": 28}


def test_an_attempt_that_follows_an_earlier_prediction_names_it(queue: Connection) -> None:
    job = generation(queue)
    claim(queue, seconds_ago=60)
    predict(queue, job, "p1", started=55, ended=0)
    queue.execute("update predictions set ended_at = null, status = 'processing'")
    value(queue, "select count(*) from rescue_worker_jobs(%s)", WORKER)
    claim(queue, seconds_ago=10)
    queue.execute(
        "update predictions set ended_at = now() - interval '2 s', predict_seconds = 5e300"
    )
    first, second = attempts(queue, job)
    assert [first.prediction, second.prediction] == ["p1", "p1"]
    assert lengths(second) == {"Pending": 4, "Running": 8, "Storing": 2}


def test_a_job_without_a_generation_only_runs(queue: Connection) -> None:
    job: UUID = value(queue, "select enqueue_job('generate-image', '{}')")
    claim(queue, seconds_ago=9)
    [running] = attempts(queue, job)
    assert lengths(running) == {"Pending": 4, "Running": 9}


@pytest.mark.parametrize(
    "details",
    [
        "null",
        '{"attempts": ["x", null, 3, {"attempt": "1", "started_at": "now", "at": [1]}]}',
        '{"attempts": [{"attempt": 1, "at": "2026-01-01T00:00:00", "due_at": "infinity"}]}',
    ],
)
def test_records_of_any_shape_are_borne(queue: Connection, details: str) -> None:
    job = generation(queue)
    queue.execute("update job_queue set error_details = %s", [details])
    assert attempts(queue, job)[-1].outcome == "pending"


def test_records_of_older_versions_have_an_end_only(queue: Connection) -> None:
    job = generation(queue)
    claim(queue)
    value(queue, "select complete_job(%s, false, 'no luck', null)", job)
    queue.execute(
        "update job_queue set error_details = jsonb_build_object('attempts', jsonb_build_array("
        "error_details -> 'attempts' -> 0 #- '{started_at}' #- '{due_at}'))"
    )
    queue.execute("delete from attempt_workers")
    first, _ = attempts(queue, job)
    assert first.started_at is not None
    assert (first.worker, first.due_at) == ("", None)
