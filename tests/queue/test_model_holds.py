"""A model whose provider asks for a rest is left alone; nobody pays a try for it."""

import secrets
from datetime import timedelta

from queue_calls import OTHER

REST = {"code": "rate_limited", "retry_after_seconds": 120}


def test_a_rate_limit_costs_no_try(queue):
    job_id = queue.claimed("x", max_attempts=1)
    for attempt in (1, 2, 3):
        assert queue.fail(job_id, code="rate_limited") == "pending"
        queue.make_due(job_id)
        assert queue.claim() == [job_id]
        assert queue.job(job_id)["max_attempts"] == attempt + 1
    assert queue.fail(job_id, code="timeout") == "failed"


def test_a_permanent_rate_limit_is_permanent(queue):
    job_id = queue.claimed()
    assert queue.fail(job_id, code="rate_limited", permanent=True) == "failed"
    assert queue.job(job_id)["max_attempts"] == 3


def test_the_whole_model_rests_and_others_go_on(queue):
    limited = queue.claimed(model_id="tired")
    resting = [queue.enqueue(model_id="tired", priority=5) for _ in range(10)]
    fresh = [queue.enqueue(model_id="fresh") for _ in range(4)] + [queue.enqueue()]
    before = [queue.job(job_id) for job_id in resting]
    queue.fail(limited, **REST)

    # As many as were asked for, although the resting jobs come first.
    assert queue.claim(limit=4) == fresh[:4]
    assert queue.claim(limit=99) == fresh[4:]
    assert [queue.job(job_id) for job_id in resting] == before


def test_a_rest_that_is_over_holds_nothing(queue):
    queue.fail(queue.claimed(model_id="tired"), **REST)
    queue.db.execute("update model_holds set held_until = now()")
    job_id = queue.enqueue(model_id="tired")
    assert queue.claim() == [job_id]


def end_holds(queue):
    queue.db.execute("update model_holds set held_until = now()")


def test_after_the_rest_claims_take_twice_as_many_each_second(queue):
    queue.fail(queue.claimed(model_id="tired"), **REST)
    resting = [queue.enqueue(model_id="tired", priority=1) for _ in range(20)]
    fresh = [queue.enqueue(model_id="fresh") for _ in range(4)]
    end_holds(queue)
    before = queue.one("select clock_timestamp()")
    assert queue.claim(limit=2) == [resting[0], fresh[0]]
    assert queue.one("select held_until from model_holds") >= before + timedelta(seconds=1)
    end_holds(queue)
    assert queue.claim(limit=9) == [*resting[1:3], *fresh[1:]]
    taken = 3
    for allowance in (4, 8, 5):
        end_holds(queue)
        assert queue.claim(limit=99) == resting[taken : taken + allowance]
        taken += allowance


def test_a_refusal_after_the_rest_begins_anew(queue):
    queue.fail(queue.claimed(model_id="tired"), **REST)
    jobs = [queue.enqueue(model_id="tired") for _ in range(5)]
    for taken in (jobs[:1], jobs[1:3]):
        end_holds(queue)
        assert queue.claim(limit=9) == taken
    queue.fail(jobs[2], **REST)
    assert queue.claim(limit=9) == []
    end_holds(queue)
    assert queue.claim(limit=9) == jobs[3:4]


def test_the_slow_start_ends_by_itself(queue):
    queue.fail(queue.claimed(model_id="tired"), **REST)
    jobs = [queue.enqueue(model_id="tired") for _ in range(5)]
    queue.db.execute("update model_holds set held_until = now() - slow_start()")
    assert queue.claim(limit=9) == jobs


def test_claims_at_once_begin_the_slow_start_with_one_job(queue, second):
    queue.fail(queue.claimed(model_id="tired"), **REST)
    jobs = [queue.enqueue(model_id="tired") for _ in range(5)]
    other = queue.enqueue(model_id="fresh")
    end_holds(queue)
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        assert queue.claim(limit=1) == jobs[:1]
        assert second.claim(limit=9, worker=OTHER) == [other]


def test_any_name_of_a_model_is_held(queue):
    names = [secrets.token_hex(50_000), "ä" * 5000, "", 7, {"a": [1]}, True, "it's \\ %s"]
    for number, name in enumerate(names):
        job_type = f"type {number}"
        queue.fail(queue.claimed(job_type, model_id=name), **REST)
        queue.enqueue(job_type, model_id=name)
        other = queue.enqueue(job_type, model_id="fresh")
        assert queue.claim(limit=9, types=[job_type]) == [other], name


def test_the_longest_rest_counts(queue):
    first, then = (queue.claimed("x", model_id="tired") for _ in range(2))
    queue.fail(first, **REST)
    until = queue.one("select held_until from model_holds")
    queue.fail(then, code="rate_limited", retry_after_seconds=1)
    assert queue.one("select held_until from model_holds") == until


def test_a_provider_that_names_no_time_gets_ten_seconds(queue):
    queue.fail(queue.claimed(model_id="tired"), code="rate_limited")
    left = queue.one("select held_until - clock_timestamp() from model_holds")
    assert 9 < left.total_seconds() <= 10
    queue.enqueue(model_id="tired")
    assert queue.claim() == []


def test_only_a_rate_limit_of_a_model_holds(queue):
    for job_id, details in [
        (queue.claimed("x", model_id="m"), {"code": "timeout", "retry_after_seconds": 9}),
        (queue.claimed("x"), REST),
    ]:
        queue.fail(job_id, **details)
    assert queue.rows("select * from model_holds") == []
