"""A job's page says why the job is where it is: each case made by the queue's own functions."""

import json
import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from lib.checks.error_guide import guide
from lib.checks.job_state import JobState, job_state
from lib.database import load
from lib.database.pool import Connection

WORKER = UUID(int=1)
NSFW = '{"code": "prediction_failed"}'
MODEL = "black-forest-labs/flux-schnell"


class Bench:
    """One job, and what is said of it."""

    def __init__(self, db: Connection) -> None:
        self.db = db

    def value(self, statement: str, *args: Any) -> Any:
        """The first value of a statement."""
        row = self.db.execute(statement.encode(), args).fetchone()
        assert row is not None
        return next(iter(row.values()))

    def enqueue(
        self,
        due: str = "0",
        priority: int = 0,
        job_type: str = "generate-image",
        model_id: str = MODEL,
    ) -> UUID:
        """A new job; due in an interval."""
        job: UUID = self.value(
            "select enqueue_job(%s, %s, %s, now() + %s::interval)",
            job_type,
            json.dumps({"prompt": "fox", "model_id": model_id}),
            priority,
            due,
        )
        return job

    def claimed(self) -> UUID:
        """A new job that WORKER runs."""
        job = self.enqueue()
        assert self.value("select id from claim_next_job(null, %s)", WORKER) == job
        return job

    def fail(self, job: UUID, **details: Any) -> None:
        """Ends an attempt with an error."""
        self.value("select complete_job(%s, false, 'no *luck*', %s)", job, json.dumps(details))

    def worker(self, job_types: str = "{generate-image}", kind: str = "worker") -> None:
        """A worker that has just been seen."""
        self.db.execute(
            "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
            " concurrency) values (%s, %s, 'box', 7, now(), '1', %s, 1)",
            [WORKER, kind, job_types],
        )

    def row(self, id: UUID) -> Any:
        """What the page reads."""
        return load("job").job(self.db, id=id)

    def said(self, job: UUID) -> JobState:
        """What the page says."""
        return job_state(self.row(job))


@pytest.fixture
def bench(db: Connection) -> Bench:
    """An empty queue with one worker."""
    bench = Bench(db)
    bench.worker()
    return bench


def test_next_in_line(bench: Bench) -> None:
    said = bench.said(bench.enqueue())
    assert said.level == "underway"
    assert re.fullmatch(r"Pending for \d\.\d s, next in line\.", said.sentence)


def test_behind_others_in_the_order_of_claims(bench: Bench) -> None:
    bench.enqueue(due="-1 minute")
    bench.enqueue(priority=5)
    bench.enqueue(priority=5, due="1 hour")
    job = bench.enqueue()
    bench.enqueue()
    bench.enqueue(priority=-5)
    assert bench.said(job).sentence.endswith(", behind 2 jobs.")


def test_behind_one(bench: Bench) -> None:
    bench.enqueue(due="-1 minute")
    assert bench.said(bench.enqueue()).sentence.endswith(", behind 1 job.")


def test_jobs_of_a_paused_type_are_not_in_front(bench: Bench) -> None:
    bench.enqueue(due="-1 minute", job_type="upscale")
    bench.value("select pause_queue('Ada', 'upscale')")
    assert bench.said(bench.enqueue()).sentence.endswith("next in line.")


def test_jobs_of_a_rate_limited_model_are_not_in_front(bench: Bench) -> None:
    bench.enqueue(due="-1 minute", model_id="tired")
    bench.db.execute("insert into model_holds values ('tired', now() + interval '1 minute')")
    assert bench.said(bench.enqueue()).sentence.endswith("next in line.")


def test_behind_more_than_are_counted(bench: Bench) -> None:
    bench.db.execute(
        "insert into job_queue (job_type, priority) select 'generate-image', n %% 2"
        " from generate_series(1, 51) n",
        [],
    )
    assert bench.said(bench.enqueue()).sentence.endswith(", behind at least 50 jobs.")
    # Only those that can be claimed count.
    bench.db.execute(
        "update job_queue set scheduled_at = now() + interval '1 h' where priority = 1"
    )
    said = bench.said(bench.enqueue())
    assert said.sentence.endswith(", behind 26 jobs.")


def test_no_worker_is_alive(bench: Bench) -> None:
    bench.db.execute("update workers set last_seen_at = now() - interval '2 minutes'")
    said = bench.said(bench.enqueue(due="-3 minutes"))
    assert said.level == "act"
    assert said.sentence == (
        "Pending for 3 min. No worker alive for generate-image jobs."
        " Start a worker: python -m lib.worker"
    )


def test_a_worker_of_other_types_does_not_help(bench: Bench) -> None:
    bench.db.execute("update workers set job_types = '{upscale}'")
    assert "No worker alive" in bench.said(bench.enqueue()).sentence


def test_the_storage_of_its_workers_takes_no_images(bench: Bench) -> None:
    bench.db.execute(
        "update workers set storage_error = 'The disk is full.',"
        " storage_failed_at = now() - interval '5 minutes', blocked_types = '{generate-image}'"
    )
    job = bench.enqueue()
    said = bench.said(job)
    assert said.level == "act"
    assert said.sentence.startswith(
        "Storage failing on box for 5 min; jobs that need it stay pending there. The disk is full."
        " Free up image storage"
    )
    other = bench.enqueue(job_type="upscale")
    bench.db.execute("update workers set job_types = '{generate-image,upscale}'")
    assert "Storage" not in bench.said(other).sentence
    bench.db.execute("update workers set blocked_types = '{}'")
    assert "next in line" in bench.said(job).sentence


def test_cron_counts_as_a_worker(bench: Bench) -> None:
    bench.db.execute("update workers set kind = 'process-jobs', stopped_at = now()")
    assert "next in line" in bench.said(bench.enqueue()).sentence


def test_waits_for_its_time(bench: Bench) -> None:
    said = bench.said(bench.enqueue(due="3 hours"))
    assert said == JobState("held", "Pending, due in 3 h.")


def test_waits_for_its_next_attempt(bench: Bench) -> None:
    job = bench.claimed()
    bench.fail(job)
    bench.db.execute("update job_queue set scheduled_at = clock_timestamp() + interval '40.4 s'")
    said = bench.said(job)
    assert said.level == "held"
    assert said.sentence == "Next attempt in 40 s. Attempt 1 of 3 failed: no *luck*"


@pytest.mark.parametrize(
    ("paused", "words"), [("generate-image", "generate-image"), ("*", "all jobs")]
)
def test_paused(bench: Bench, paused: str, words: str) -> None:
    job = bench.enqueue(due="1 hour")
    bench.value("select pause_queue('Ada', %s, 'new keys')", paused)
    bench.db.execute("update queue_pauses set paused_at = now() - interval '5 minutes'")
    said = bench.said(job)
    assert said.level == "act"
    assert said.sentence == (
        f"Queue paused by Ada 5 min ago ({words}): new keys. Resume it on the Overview page."
    )


def test_another_type_is_paused(bench: Bench) -> None:
    bench.value("select pause_queue('Ada', 'upscale')")
    assert "next in line" in bench.said(bench.enqueue()).sentence


def test_its_model_rests(bench: Bench) -> None:
    job = bench.claimed()
    bench.fail(job, code="rate_limited", retry_after_seconds=60)
    said = bench.said(job)
    assert said.level == "held"
    assert said.sentence == (
        f"Model {MODEL} rate-limited for another 1 min. Provider message: no *luck*"
    )


def test_a_rest_that_is_over(bench: Bench) -> None:
    bench.db.execute("insert into model_holds values (%s, now() - interval '1 s')", [MODEL])
    assert "next in line" in bench.said(bench.enqueue()).sentence


def test_its_provider_is_down(bench: Bench) -> None:
    job = bench.enqueue()
    for _ in range(5):
        bench.value("select record_provider_failure('replicate', 'HTTP 502')")
    bench.db.execute(
        "update provider_breakers set opened_at = now() - interval '5 minutes',"
        " open_until = clock_timestamp() + interval '30.4 s'"
    )
    said = bench.said(job)
    assert said.level == "act"
    assert said.sentence == (
        "Provider replicate down for 5 min (circuit open); its jobs stay pending. Next test in"
        " 30 s. HTTP 502"
    )
    bench.db.execute("update provider_breakers set open_until = now() - interval '1 s'")
    assert "Next job is a test." in bench.said(job).sentence


def test_running(bench: Bench) -> None:
    job = bench.claimed()
    bench.db.execute("update job_queue set started_at = clock_timestamp() - interval '12 s'")
    bench.db.execute("update job_leases set heartbeat_at = clock_timestamp() - interval '3.2 s'")
    said = bench.said(job)
    assert said.level == "underway"
    assert said.sentence == (
        "Running for 12 s, attempt 1 of 3, on box, pid 7. Last heartbeat 3.2 s ago."
    )


def test_running_without_a_lease(bench: Bench) -> None:
    job = bench.claimed()
    bench.db.execute("delete from job_leases")
    said = bench.said(job)
    assert said.level == "held"
    assert said.sentence.endswith("attempt 1 of 3. No lease: its worker sends no heartbeats.")


def test_stuck(bench: Bench) -> None:
    job = bench.claimed()
    bench.db.execute("update job_queue set started_at = clock_timestamp() - interval '21 min'")
    bench.db.execute("update job_leases set heartbeat_at = clock_timestamp() - interval '20 min'")
    said = bench.said(job)
    assert said.level == "act"
    assert said.sentence == "Stuck: no heartbeat for 20 min. Running for 21 min, attempt 1 of 3."
    stuck = bench.value("select count(*) from stuck_jobs where id = %s", job)
    assert stuck == 1
    bench.value("select count(*) from reset_stuck_jobs('Ada')")
    assert "next in line" in bench.said(job).sentence


def test_stuck_from_before_starts_were_written_down(bench: Bench) -> None:
    job: UUID = bench.value(
        "insert into job_queue (job_type, status, updated_at)"
        " values ('generate-image', 'processing', now() - interval '20 min') returning id"
    )
    assert bench.said(job).sentence.startswith("Stuck: no heartbeat for 20 min. Running for –")


def test_completed(bench: Bench) -> None:
    job = bench.claimed()
    bench.value("select complete_job(%s)", job)
    bench.db.execute("update job_queue set completed_at = started_at + interval '4.5 s'")
    assert bench.said(job) == JobState("done", "Completed in 4.5 s, first attempt.")


def test_failed_at_the_last_attempt(bench: Bench) -> None:
    job = bench.claimed()
    bench.db.execute("update job_queue set max_attempts = 1")
    bench.fail(job)
    said = bench.said(job)
    assert (said.level, said.sentence) == ("act", "Failed after attempt 1 of 1: no *luck*")
    assert not said.change_first


def test_failed_for_good(bench: Bench) -> None:
    job = bench.claimed()
    bench.fail(job, permanent=True, code="no_credit")
    assert bench.said(job) == JobState(
        "act",
        "Failed permanently on attempt 1 of 3: no *luck*",
        guide("no_credit", "no *luck*").todo,
        change_first=True,
    )


def test_an_error_that_a_retry_does_not_help_asks_for_changes(bench: Bench) -> None:
    job = bench.claimed()
    bench.db.execute("update job_queue set max_attempts = 1")
    bench.value("select complete_job(%s, false, 'NSFW content', %s)", job, NSFW)
    said = bench.said(job)
    assert said.change_first
    assert not said.retry_helps


def test_a_long_error_is_quoted_in_part(bench: Bench) -> None:
    job = bench.claimed()
    bench.fail(job, permanent=True)
    bench.db.execute("update job_queue set error_message = repeat('no *luck* ', 200)")
    said = bench.said(job).sentence
    assert said.endswith(" …")
    assert len(said) < 330


def test_cancelled(bench: Bench) -> None:
    job = bench.enqueue()
    bench.value("select count(*) from cancel_jobs('Ada', array[%s])", job)
    assert bench.said(job) == JobState("held", "Cancelled by an operator.")


def ending(bench: Bench, how: str) -> UUID:
    """The generation of a job that ended so."""
    started = bench.value("select start_generation(null, 'fox', %s, p_source => 'test')", MODEL)
    job = started["job_id"]
    if how != "pending":
        bench.value("select id from claim_next_job(null, %s)", WORKER)
    match how:
        case "completed":
            bench.value("select complete_job(%s)", job)
        case "completed in a batch":
            bench.value(
                "select count(*) from complete_jobs(array[%s::uuid], array[1], array[null::jsonb])",
                job,
            )
        case "failed":
            bench.fail(job, permanent=True)
        case "cancelled":
            bench.value("select count(*) from cancel_jobs('Ada', array[%s::uuid])", job)
        case "retried":
            bench.fail(job, permanent=True)
            bench.value("select count(*) from retry_jobs('Ada', array[%s::uuid])", job)
        case "rescued":
            bench.db.execute("update job_queue set max_attempts = 1")
            bench.value("select count(*) from rescue_worker_jobs(%s)", WORKER)
    return UUID(started["generation_id"])


@pytest.mark.parametrize(
    "how",
    [
        "pending", "processing", "completed", "completed in a batch", "failed", "cancelled",
        "retried", "rescued",
    ],
)  # fmt: skip
def test_a_job_is_found_by_its_generation_however_it_ended(bench: Bench, how: str) -> None:
    generation = ending(bench, how)
    job = bench.value("select id from job_queue")
    for id in (generation, job):
        row = bench.row(id)
        assert (row["id"], row["generation_id"]) == (job, generation)


def test_no_such_job(bench: Bench) -> None:
    assert bench.row(uuid4()) is None


def test_attempts_and_operators(bench: Bench) -> None:
    job = bench.claimed()
    bench.fail(job, permanent=True, code="no_credit")
    bench.value("select count(*) from retry_jobs('Ada', array[%s])", job)
    bench.value("select count(*) from cancel_jobs('Bob', array[%s])", job)
    bench.enqueue()
    attempts = load("job").attempts(bench.db, id=job)
    assert [(a["attempt"], a["error"], a["code"]) for a in attempts] == [
        ("1", "no *luck*", "no_credit")
    ]
    acts = load("job").operators(bench.db, id=str(job))
    assert [(act["actor"], act["action"]) for act in acts] == [
        ("Bob", "cancel_jobs"),
        ("Ada", "retry_jobs"),
    ]


@pytest.mark.parametrize("details", ["null", "[]", '{"attempts": 3}', '{"attempts": ["x", null]}'])
def test_error_details_of_any_shape(bench: Bench, details: str) -> None:
    job = bench.enqueue()
    bench.db.execute("update job_queue set error_details = %s", [details])
    assert bench.said(job).level == "underway"
    assert all(a["error"] is None for a in load("job").attempts(bench.db, id=job))


def test_a_payload_is_shown_as_it_is_stored(bench: Bench) -> None:
    job: UUID = bench.value(
        "insert into job_queue (job_type, payload)"
        """ values ('a', '{"n": 12345678901234567890.10, "é": "<b>"}') returning id"""
    )
    assert '"n": 12345678901234567890.10' in bench.row(job)["payload"]


def test_a_job_with_errors_of_any_length_is_read_in_parts(bench: Bench) -> None:
    job = bench.claimed()
    bench.value(
        "select complete_job(%s, false, repeat('e', 9000000), jsonb_build_object('code',"
        " repeat('c', 9000000), 'permanent', true, 'body', repeat('b', 9000000)))",
        job,
    )
    read = [bench.row(job), *load("job").attempts(bench.db, id=job)]
    assert len(str(read)) < 100_000
    # By a program that writes to the table itself.
    bench.db.execute(
        "update job_queue set error_message = repeat('e', 9000000), error_details ="
        " jsonb_build_object('code', repeat('c', 9000000), 'attempts', jsonb_build_array("
        "jsonb_build_object('error', repeat('e', 9000000), 'worker', repeat('w', 9000000))))"
    )
    read = [bench.row(job), *load("job").attempts(bench.db, id=job)]
    assert len(str(read)) < 300_000
