"""Who gets which job, and when."""

import psycopg
import pytest
from queue_calls import GENERATION, OTHER, WORKER


def test_highest_priority_then_longest_due_then_oldest(queue):
    late = queue.enqueue(due="-1 min")
    younger = queue.enqueue(due="-1 h")
    older = queue.enqueue(due="-1 h")
    urgent = queue.enqueue(due="-1 s", priority=5)
    queue.db.execute(
        "update job_queue set scheduled_at = date_trunc('hour', scheduled_at) where id in (%s, %s)",
        [younger, older],
    )
    queue.db.execute(
        "update job_queue set created_at = now() - interval '1 day' where id = %s", [older]
    )
    assert queue.claim(limit=10) == [urgent, older, younger, late]


def test_a_smaller_limit_takes_the_head_of_the_same_order(queue):
    jobs = [queue.enqueue(priority=priority) for priority in (1, 3, 2)]
    assert [queue.claim()[0] for _ in jobs] == [jobs[1], jobs[2], jobs[0]]
    assert queue.claim() == []


def test_a_scheduled_job_waits_for_its_time(queue):
    job_id = queue.enqueue(due="1 min", priority=9)
    assert queue.claim() == []
    queue.make_due(job_id)
    assert queue.claim() == [job_id]


def test_only_the_types_asked_for(queue):
    queue.enqueue("a")
    b = queue.enqueue("b")
    assert queue.claim(limit=9, types=["b", "c"]) == [b]
    assert queue.claim(types=[]) == []


def test_a_claim_counts_an_attempt_and_takes_a_lease(queue):
    job_id = queue.enqueue()
    claimed = queue.one("select * from claim_next_job(p_worker_id => %s)", WORKER)
    assert claimed == queue.job(job_id)
    assert (claimed["status"], claimed["attempts"]) == ("processing", 1)
    assert claimed["started_at"] is not None
    lease = queue.lease(job_id)
    assert (str(lease["worker_id"]), lease["attempt"]) == (WORKER, 1)


def test_a_limit_below_one_is_refused(queue):
    for limit in (0, -1, None):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="claim at least one job"):
            queue.claim(limit=limit)


def test_two_claims_at_once_share_no_job_and_do_not_wait(queue, second):
    jobs = {queue.enqueue() for _ in range(4)}
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        mine = queue.claim(limit=2)
        others = second.claim(limit=4, worker=OTHER)
    assert set(mine) | set(others) == jobs
    assert (len(mine), len(others)) == (2, 2)


def test_one_generation_is_claimed_whenever_it_is_scheduled(queue):
    claim = "select id, attempts from claim_generation(%s, %s)"
    queue.enqueue(due="-1 h")
    job_id = queue.enqueue(due="1 hour", generation_id=GENERATION.upper())
    assert queue.rows(claim, GENERATION, WORKER) == [{"id": job_id, "attempts": 1}]
    assert queue.rows(claim, GENERATION, OTHER) == []
    assert str(queue.lease(job_id)["worker_id"]) == WORKER


def test_one_generation_is_claimed_by_one_of_two(queue, second):
    claim = "select id from claim_generation(%s)"
    job_id = queue.enqueue(generation_id=GENERATION)
    second.db.execute("set lock_timeout = '1s'")
    with queue.db.transaction():
        assert queue.one(claim, GENERATION) == job_id
        assert second.rows(claim, GENERATION) == []


def test_release_keeps_the_try(queue):
    job_id = queue.claimed(max_attempts=1)
    release = "select release_jobs(%s, array[%s]::uuid[], array[%s])"
    assert queue.rows(release, OTHER, job_id, 1) == queue.rows(release, WORKER, job_id, 2) == []
    assert queue.status(job_id) == "processing"
    assert queue.one(release, WORKER, job_id, 1) == job_id
    assert (queue.status(job_id), queue.lease(job_id)) == ("pending", None)
    assert queue.claim() == [job_id]
    assert queue.fail(job_id) == "failed"
    assert queue.job(job_id)["attempts"] == 2
