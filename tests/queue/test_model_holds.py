"""A model whose provider asks for a rest is left alone; nobody pays a try for it."""

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
    queue.fail(limited, **REST)
    until = queue.one("select held_until from model_holds where model_id = 'tired'")

    # As many as were asked for, although the resting jobs come first.
    assert queue.claim(limit=4) == fresh[:4]
    due = [queue.job(job_id)["scheduled_at"] for job_id in resting]
    after = [(at - until).total_seconds() for at in due]
    assert 0 <= min(after) <= max(after) <= 10
    assert max(after) - min(after) > 1
    assert {(queue.job(j)["status"], queue.job(j)["attempts"]) for j in resting} == {("pending", 0)}
    assert queue.claim(limit=99) == fresh[4:]


def test_a_rest_that_is_over_holds_nothing(queue):
    queue.fail(queue.claimed(model_id="tired"), **REST)
    queue.db.execute("update model_holds set held_until = now()")
    job_id = queue.enqueue(model_id="tired")
    assert queue.claim() == [job_id]


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
