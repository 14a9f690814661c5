"""Claims whose workers send no heartbeat: rescued by the workers, reset by an operator."""

from itertools import pairwise

import psycopg
import pytest
from queue_calls import GENERATION, OTHER, WORKER


def test_a_silent_claim_goes_back_after_a_backoff_and_its_attempt_counts(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    queue.make_silent(job_id)
    assert queue.rescue() == {job_id}
    job = queue.job(job_id)
    assert (job["status"], job["attempts"], job["max_attempts"]) == ("pending", 1, 3)
    assert 9.9 < queue.wait_of(job_id) <= 12.5
    assert job["error_message"].startswith("No heartbeat from its worker since")
    (entry,) = job["error_details"]["attempts"]
    assert (entry["attempt"], entry["details"]) == (1, {"code": "worker_lost"})
    assert queue.lease(job_id) is None
    assert queue.generation()["status"] == "queued"
    assert queue.rescue() == set()


def test_a_job_that_kills_its_workers_ends_as_failed(queue):
    job_id = queue.enqueue(generation_id=GENERATION)
    for attempt in (1, 2, 3):
        queue.make_due(job_id)
        assert queue.claim() == [job_id]
        queue.begin(job_id, attempt)
        queue.make_silent(job_id)
        assert queue.rescue() == {job_id}
    job = queue.job(job_id)
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert job["completed_at"] is not None
    assert [e["attempt"] for e in job["error_details"]["attempts"]] == [1, 2, 3]
    assert queue.generation()["status"] == "failed"
    assert queue.claim() == []


def test_only_silence_is_rescued(queue):
    silent, lively = queue.claimed("x"), queue.claimed("x")
    queue.make_silent(silent, lively)
    assert queue.heartbeat(lively) == []
    fresh = queue.claimed("x")
    assert queue.rescue() == {silent}
    assert [queue.status(j) for j in (lively, fresh)] == ["processing", "processing"]


def test_a_job_without_a_lease_is_left_to_an_operator(queue):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    queue.db.execute("delete from job_leases")
    before = queue.job(job_id)
    assert queue.rescue() == set()
    assert queue.job(job_id) == before
    assert queue.reset() == {job_id}


def test_the_lease_of_an_earlier_attempt_is_no_silence(queue):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    queue.db.execute("update job_queue set attempts = 2")
    assert queue.rescue() == set()


@pytest.mark.parametrize("silence", ["0", "-1 min", None])
def test_a_silence_that_is_none_is_refused(queue, silence):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="positive interval"):
        queue.rows("select * from rescue_stuck_jobs(%s)", silence)


def test_a_heartbeat_in_between_wins_over_the_rescue(queue, second, blocked):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    with queue.db.transaction():
        assert queue.heartbeat(job_id) == []
        rescue = blocked(second.rescue)
    assert rescue.result() == set()
    assert queue.complete(job_id, attempt=1) == "completed"


def test_a_heartbeat_in_between_wins_over_the_reset(queue, second, blocked):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    with queue.db.transaction():
        assert queue.heartbeat(job_id) == []
        reset = blocked(second.reset)
    assert reset.result() == set()
    assert queue.complete(job_id, attempt=1) == "completed"


def test_a_heartbeat_that_waited_for_the_rescue_has_lost(queue, second, blocked):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    with queue.db.transaction():
        assert queue.rescue() == {job_id}
        beat = blocked(lambda: second.heartbeat(job_id))
    assert [(row["job_id"], row["attempt"]) for row in beat.result()] == [(job_id, 1)]
    assert queue.lease(job_id) is None


def test_a_rescue_passes_by_a_job_that_is_just_being_finished(queue, second):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        assert queue.complete(job_id, attempt=1) == "completed"
        before = queue.job(job_id)
        assert second.rescue() == set()
    assert queue.job(job_id) == before


def test_a_rescue_that_waited_for_a_finishing_worker_changes_nothing(queue, second, blocked):
    """The worker died in the eyes of its host, but its completion was under way."""
    job_id = queue.claimed()
    with queue.db.transaction():
        assert queue.complete(job_id, attempt=1) == "completed"
        before = queue.job(job_id)
        rescue = blocked(lambda: second.rows("select rescue_worker_jobs(%s) as id", WORKER))
    assert rescue.result() == []
    assert queue.job(job_id) == before


def test_a_completion_that_waited_for_the_rescue_is_lost(queue, second, blocked):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    queue.make_silent(job_id)
    with queue.db.transaction():
        assert queue.rescue() == {job_id}
        before = queue.job(job_id)
        completion = blocked(lambda: second.complete(job_id, attempt=1))
    assert completion.result() == "lost"
    assert queue.job(job_id) == before
    assert queue.generation()["status"] == "queued"


def test_two_rescues_at_once_take_a_job_once(queue, second):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        assert queue.rescue() == {job_id}
        assert second.rescue() == set()
    assert len(queue.job(job_id)["error_details"]["attempts"]) == 1


def test_the_jobs_of_a_dead_worker_are_due_at_once(queue):
    job_id, other = queue.claimed("x"), queue.enqueue("x")
    queue.claim(worker=OTHER)
    assert queue.one("select rescue_worker_jobs(%s)", WORKER) == job_id
    assert (queue.status(job_id), queue.status(other)) == ("pending", "processing")
    assert queue.claim(limit=9) == [job_id]
    queue.fail(job_id)
    assert queue.job(job_id)["attempts"] == 2


def test_a_heartbeat_keeps_a_slow_job_out_of_stuck_jobs(queue):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    assert queue.one("select id from stuck_jobs") == job_id
    assert queue.heartbeat(job_id, worker=OTHER) == [
        {"job_id": job_id, "attempt": 1, "status": "processing"}
    ]
    assert queue.one("select id from stuck_jobs") == job_id
    assert queue.heartbeat(job_id) == []
    assert queue.rows("select * from stuck_jobs") == []
    assert queue.reset(job_id) == set()


def test_a_heartbeat_of_a_deleted_job_says_so(queue):
    job_id = queue.one("select gen_random_uuid()")
    assert queue.heartbeat(job_id) == [{"job_id": job_id, "attempt": 1, "status": None}]


def test_a_reset_takes_no_attempt_and_starts_at_once(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    queue.make_silent(job_id)
    assert queue.reset(actor="ann") == {job_id}
    job = queue.job(job_id)
    assert (job["status"], job["attempts"], job["max_attempts"]) == ("pending", 1, 3)
    assert job["error_message"].startswith("Reset by an operator: no heartbeat since")
    assert (queue.lease(job_id), queue.generation()["status"]) == (None, "queued")
    assert queue.claim() == [job_id]


def test_a_job_reset_on_its_last_attempt_may_run_once_more(queue):
    job_id = queue.claimed(max_attempts=1)
    queue.make_silent(job_id)
    queue.reset()
    assert queue.claim() == [job_id]
    assert queue.job(job_id)["attempts"] == 2
    assert queue.fail(job_id) == "failed"


def test_only_the_stuck_ones_of_those_asked_for_are_reset(queue):
    stuck, also_stuck, lively = (queue.claimed("x") for _ in range(3))
    queue.make_silent(stuck, also_stuck)
    assert queue.reset(stuck, lively) == {stuck}
    assert [queue.status(j) for j in (also_stuck, lively)] == ["processing", "processing"]
    assert queue.reset() == {also_stuck}


def test_a_mass_reset_is_spread_over_time(queue):
    jobs = [queue.claimed() for _ in range(5)]
    queue.make_silent(*jobs)
    queue.reset()
    due = [queue.job(job_id)["scheduled_at"] for job_id in jobs]
    steps = [(b - a).total_seconds() for a, b in pairwise(due)]
    assert steps == pytest.approx([0.1] * 4, abs=0.05)
