"""What enters the queue."""

import psycopg
import pytest
from queue_calls import GENERATION


def test_three_or_five_arguments(queue):
    five = queue.one(
        "select enqueue_job('generate-image'::text,"
        ' \'{"test": true, "prompt": "Test prompt"}\'::jsonb, 0, NOW(), 3)'
    )
    three = queue.one("select enqueue_job('generate-image', '{}', 0)")
    assert {row["id"] for row in queue.rows("select id from job_queue")} == {five, three}


def test_bad_arguments_are_refused(queue):
    for arguments in (
        "'', '{}'",
        "'x', '[]'",
        "'x', '{}', 0, now(), 0",
        "'x', '{}', 0, now(), 101",
    ):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            queue.rows(f"select enqueue_job({arguments})")
    assert queue.rows("select * from job_queue") == []


def test_a_generation_has_one_live_job_of_a_type(queue):
    first = queue.enqueue(generation_id=GENERATION)
    with pytest.raises(psycopg.Error, match="already has a pending or running job") as waiting:
        queue.enqueue(generation_id=GENERATION.upper())
    assert waiting.value.sqlstate == "DR409"
    queue.claim()
    with pytest.raises(psycopg.Error, match="already has a pending or running job") as running:
        queue.enqueue(generation_id=GENERATION)
    assert running.value.sqlstate == "DR409"
    queue.enqueue("download-image", generation_id=GENERATION)
    queue.complete(first)
    assert queue.enqueue(generation_id=GENERATION) != first


def test_of_two_that_enqueue_one_generation_at_once_one_is_refused(queue, second, blocked):
    with queue.db.transaction():
        queue.enqueue(generation_id=GENERATION)
        late = blocked(lambda: second.enqueue(generation_id=GENERATION))
    with pytest.raises(psycopg.Error, match="already has a pending or running job") as refused:
        late.result()
    assert refused.value.sqlstate == "DR409"


def test_the_index_itself_refuses_a_second_live_job(queue):
    insert = (
        "insert into job_queue (job_type, payload)"
        " values ('x', jsonb_build_object('generation_id', %s::text))"
    )
    queue.db.execute(insert, [GENERATION])
    with pytest.raises(psycopg.errors.UniqueViolation):
        queue.db.execute(insert, [GENERATION])


def test_jobs_without_a_generation_are_not_counted_as_one(queue):
    assert len({queue.enqueue(), queue.enqueue(), queue.enqueue(generation_id="not a uuid")}) == 3
    queue.enqueue(generation_id="not a uuid")
    assert queue.one("select count(*) from job_queue") == 4


@pytest.mark.parametrize(
    ("job_type", "reason"), [("x" * 201, "has 201 characters"), ("*", "reserved for all types")]
)
def test_a_type_that_others_cannot_bear_is_refused(queue, job_type, reason):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=reason):
        queue.one("select enqueue_job(%s, '{}')", job_type)
    assert queue.one("select enqueue_job(%s, '{}')", "é" * 200)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("-infinity", "1970-01-01"),
        ("0001-01-01", "1970-01-01"),
        ("2199-12-31", "2199-12-31"),
        ("20000-01-01", "2200-01-01"),
        ("infinity", "2200-01-01"),
    ],
)
def test_times_are_kept_within_bounds(queue, said, kept):
    queue.db.execute(
        "insert into job_queue"
        " (job_type, status, scheduled_at, created_at, updated_at, started_at, completed_at)"
        " values ('a', 'failed', %s, %s, %s, %s, %s)",
        [said] * 5,
    )
    queue.one("select enqueue_job('b', '{}', p_scheduled_at => %s)", said)
    [job] = queue.rows("select to_jsonb(q) as job from job_queue q where job_type = 'a'")
    times = {name: value[:10] for name, value in job["job"].items() if name.endswith("_at")}
    assert set(times.values()) == {kept}, times
    assert queue.one("select scheduled_at::date::text from job_queue where job_type = 'b'") == kept
    queue.db.execute("update job_queue set started_at = %s where job_type = 'b'", [said])
    assert queue.one("select started_at::date::text from job_queue where job_type = 'b'") == kept


def test_attempts_at_the_end_of_their_type_can_be_claimed_and_released(queue):
    queue.db.execute(
        "insert into job_queue (job_type, attempts, max_attempts) values ('a', %s, %s)",
        [2**31 - 1, 2**31 - 1],
    )
    [claimed] = queue.claim()
    assert queue.one("select attempts from job_queue") == 1_000_000_001
    assert queue.fail(claimed, code="rate_limited") == "pending"
