"""Operators cancel what waits or runs and retry what ended without success."""

from itertools import pairwise

import pytest
from queue_calls import GENERATION


def failed(queue, **options):
    job_id = queue.claimed(**options)
    queue.fail(job_id, permanent=True)
    return job_id


def test_a_cancelled_waiting_job_is_never_claimed(queue):
    job_id = queue.enqueue()
    assert queue.cancel(job_id) == {job_id}
    assert queue.claim() == []
    job = queue.job(job_id)
    assert (job["status"], job["error_message"]) == ("cancelled", "Cancelled by an operator.")
    assert job["completed_at"] is not None


@pytest.mark.parametrize("back", ["failed attempt", "retry"])
def test_a_job_cancelled_before_its_next_attempt_has_no_run(queue, back):
    job_id = failed(queue) if back == "retry" else queue.claimed()
    queue.retry(job_id) if back == "retry" else queue.fail(job_id)
    assert (queue.status(job_id), queue.job(job_id)["attempts"]) == ("pending", 1)
    queue.cancel(job_id)
    assert queue.job(job_id)["started_at"] is None


def test_a_running_job_that_is_cancelled_keeps_its_start(queue):
    job_id = queue.claimed()
    started = queue.job(job_id)["started_at"]
    queue.cancel(job_id)
    assert queue.job(job_id)["started_at"] == started is not None


def test_the_worker_of_a_cancelled_job_has_lost_it(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    assert queue.cancel(job_id) == {job_id}
    assert queue.lease(job_id) is None
    assert queue.generation()["status"] == "cancelled"
    assert queue.heartbeat(job_id) == [{"job_id": job_id, "attempt": 1, "status": "cancelled"}]

    assert queue.complete(job_id, attempt=1) == "lost"
    assert queue.one("select complete_job(%s, false, 'late', null, 1)", job_id) == "lost"
    assert queue.one("select record_progress(%s, 1, 99)", job_id) is False
    # Nobody will follow it, so its worker cancels it.
    assert queue.one("select record_prediction(%s, 1, 'late')", job_id) == "unwanted"
    assert queue.begin(job_id) == []
    assert queue.job(job_id)["error_message"] == "Cancelled by an operator."
    assert queue.generation()["status"] == "cancelled"


def test_a_cancel_that_comes_before_the_completion_wins(queue, second, blocked):
    job_id = queue.claimed()
    with queue.db.transaction():
        queue.cancel(job_id)
        completion = blocked(lambda: second.complete(job_id, attempt=1))
    assert completion.result() == "lost"
    assert queue.status(job_id) == "cancelled"


def test_a_completion_that_comes_before_the_cancel_wins(queue, second, blocked):
    job_id = queue.claimed()
    with queue.db.transaction():
        queue.complete(job_id, attempt=1)
        cancel = blocked(lambda: second.cancel(job_id))
    assert cancel.result() == set()
    assert queue.status(job_id) == "completed"


def test_a_claim_checked_for_writing_cannot_be_cancelled_meanwhile(queue, second, blocked):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    with queue.db.transaction():
        assert queue.one("select record_progress(%s, 1, 50)", job_id) is True
        cancel = blocked(lambda: second.cancel(job_id))
    assert cancel.result() == {job_id}
    assert queue.generation()["status"] == "cancelled"


def test_a_held_claim_stays_held_until_the_end_of_the_transaction(queue, second, blocked):
    job_id = queue.claimed()
    with queue.db.transaction():
        assert queue.one("select hold_claim(%s, 1)", job_id) is True
        cancel = blocked(lambda: second.cancel(job_id))
        assert queue.status(job_id) == "processing"
    assert cancel.result() == {job_id}


def test_finished_jobs_are_not_cancelled(queue):
    done = queue.claimed()
    queue.complete(done)
    lost, dropped, waiting = failed(queue), queue.enqueue(), queue.enqueue()
    queue.cancel(dropped)
    before = [queue.job(job_id) for job_id in (done, lost, dropped)]
    assert queue.cancel(done, lost, dropped, waiting) == {waiting}
    assert [queue.job(job_id) for job_id in (done, lost, dropped)] == before


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_retried_job_gets_at_least_one_more_attempt(queue, end):
    job_id = queue.claimed(max_attempts=1, generation_id=GENERATION)
    queue.begin(job_id)
    if end == "failed":
        assert queue.fail(job_id) == "failed"
    else:
        queue.cancel(job_id)
    assert queue.generation()["status"] == end

    assert queue.retry(job_id) == {job_id}
    job = queue.job(job_id)
    assert (job["status"], job["attempts"], job["max_attempts"]) == ("pending", 1, 2)
    assert (job["completed_at"], job["error_message"]) == (None, None)
    assert queue.generation()["status"] == "queued"
    assert queue.generation()["error_message"] is None
    assert queue.claim() == [job_id]


def test_a_retry_takes_no_attempt_away(queue):
    job_id = failed(queue, max_attempts=5)
    queue.retry(job_id)
    assert queue.job(job_id)["max_attempts"] == 5


def test_only_failed_and_cancelled_jobs_are_retried(queue):
    done, running, waiting = queue.claimed(), queue.claimed(), queue.enqueue(due="1 h")
    queue.complete(done)
    before = [queue.job(job_id) for job_id in (done, running, waiting)]
    assert queue.retry(done, running, waiting) == set()
    assert [queue.job(job_id) for job_id in (done, running, waiting)] == before


def test_a_mass_retry_is_spread_over_time_in_claim_order(queue):
    jobs = [failed(queue) for _ in range(11)]
    urgent = failed(queue, priority=1)
    assert queue.retry(*jobs, urgent) == {*jobs, urgent}
    due = [queue.job(job_id)["scheduled_at"] for job_id in (urgent, *jobs)]
    steps = [(b - a).total_seconds() for a, b in pairwise(due)]
    assert steps == pytest.approx([0.1] * 11, abs=0.05)


def test_no_retry_waits_longer_than_a_minute(queue):
    queue.db.execute(
        "insert into job_queue (job_type, status) select 'x', 'failed' from generate_series(1, 700)"
    )
    queue.rows("select retry_jobs('operator', array(select id from job_queue))")
    spread = queue.one("select max(scheduled_at) - min(scheduled_at) from job_queue")
    assert spread.total_seconds() == pytest.approx(60, abs=1)


def test_a_generation_with_a_live_job_keeps_that_one(queue):
    old = failed(queue, generation_id=GENERATION)
    live = queue.enqueue(generation_id=GENERATION)
    assert queue.retry(old) == set()
    assert (queue.status(old), queue.status(live)) == ("failed", "pending")
    queue.claim()
    assert queue.retry(old) == set()
    queue.complete(live)
    assert queue.retry(old) == {old}


def test_of_several_ended_jobs_of_a_generation_the_newest_is_retried(queue):
    oldest, middle, newest = (failed(queue, generation_id=GENERATION) for _ in range(3))
    apart = failed(queue)
    assert queue.retry(middle, newest, apart, oldest) == {newest, apart}
    assert [queue.status(j) for j in (oldest, middle, newest)] == ["failed", "failed", "pending"]


def test_a_retry_keeps_the_errors_of_earlier_attempts(queue):
    job_id = failed(queue)
    queue.retry(job_id)
    queue.claim()
    queue.fail(job_id, permanent=True)
    attempts = queue.job(job_id)["error_details"]["attempts"]
    assert [entry["attempt"] for entry in attempts] == [1, 2]
