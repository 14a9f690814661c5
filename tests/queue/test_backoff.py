"""How long a job waits between two attempts."""

import pytest

JITTER = 1.25


def waits(queue, job_id, **details):
    """Fails the job once and returns its wait in seconds."""
    queue.make_due(job_id)
    assert queue.claim() == [job_id]
    assert queue.fail(job_id, **details) == "pending"
    return queue.wait_of(job_id)


def test_doubles_up_to_the_maximum_with_jitter_only_added(queue):
    job_id = queue.enqueue(max_attempts=12)
    for attempt in range(1, 12):
        least = min(10 * 2 ** (attempt - 1), 3600)
        assert least <= waits(queue, job_id) <= least * JITTER


def test_the_jitter_differs(queue):
    delays = queue.rows(
        "select extract(epoch from retry_delay('x', 1))::float as s from generate_series(1, 200)"
    )
    seconds = [row["s"] for row in delays]
    assert min(seconds) >= 10
    assert max(seconds) <= 12.5
    assert max(seconds) - min(seconds) > 1.5


def test_a_type_has_settings_of_its_own(queue):
    queue.db.execute("insert into job_types values ('slow', null, 100, 300, 0)")
    own, default = queue.enqueue("slow", max_attempts=5), queue.enqueue("x", max_attempts=5)
    for own_wait, default_wait in [(100, 10), (200, 20), (300, 40), (300, 80)]:
        queue.make_due(own, default)
        queue.claim(limit=2)
        queue.fail(own)
        queue.fail(default)
        assert queue.wait_of(own) == pytest.approx(own_wait, abs=0.01)
        assert default_wait <= queue.wait_of(default) <= default_wait * JITTER


def test_a_wait_the_provider_asks_for_is_kept(queue):
    job_id = queue.enqueue(max_attempts=9)
    assert 90 <= waits(queue, job_id, retry_after_seconds=90) <= 90 * JITTER
    # Shorter than the backoff: the backoff counts.
    assert 20 <= waits(queue, job_id, retry_after_seconds=1) <= 20 * JITTER
    assert 40 <= waits(queue, job_id, retry_after_seconds=-500) <= 40 * JITTER
    assert 80 <= waits(queue, job_id, retry_after_seconds="soon") <= 80 * JITTER


def test_nobody_can_ask_for_more_than_a_day(queue):
    job_id = queue.enqueue()
    assert 86400 <= waits(queue, job_id, retry_after_seconds=1e12) <= 86400 * JITTER


def test_a_huge_attempt_number_waits_the_maximum(queue):
    wait = queue.one("select retry_delay('x', 2147483647)")
    assert 3600 <= wait.total_seconds() <= 3600 * JITTER


def test_no_wait_is_longer_than_thirty_days(queue):
    queue.db.execute(
        "insert into job_types values"
        " ('huge', null, 1e300, 1e300, 0), ('none', null, 'NaN', 'NaN', 0)"
    )
    for job_type in ("huge", "none"):
        job_id = queue.enqueue(job_type)
        assert 30 * 86400 - 60 <= waits(queue, job_id) <= 30 * 86400
        queue.db.execute("delete from job_queue")


@pytest.mark.parametrize("retry_after", [1e300, -1e300, "soon", None, True, {"a": 1}])
def test_any_retry_after_is_borne(queue, retry_after):
    job_id = queue.enqueue()
    assert (
        0
        <= waits(queue, job_id, code="rate_limited", retry_after_seconds=retry_after)
        <= (86400 * JITTER)
    )
