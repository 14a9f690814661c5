"""Operators stop the claiming of a type of jobs, or of all."""

import psycopg
import pytest
from queue_calls import GENERATION


def test_a_paused_type_waits_and_others_go_on(queue):
    paused, other = queue.enqueue("a"), queue.enqueue("b")
    queue.rows("select pause_queue('operator', 'a')")
    assert queue.claim(limit=9) == [other]
    assert queue.one("select resume_queue('operator', 'a')") is True
    assert queue.claim(limit=9) == [paused]


def test_a_pause_of_all_stops_every_claim(queue):
    jobs = [queue.enqueue("a"), queue.enqueue("b")]
    queue.rows("select pause_queue('operator')")
    assert queue.claim(limit=9) == queue.claim(types=["a"]) == []
    assert queue.one("select resume_queue('operator')") is True
    assert queue.claim(limit=9) == jobs


def test_a_running_job_of_a_paused_type_goes_on(queue):
    job_id = queue.claimed("a")
    queue.rows("select pause_queue('operator', 'a')")
    assert queue.heartbeat(job_id) == []
    assert queue.complete(job_id, attempt=1) == "completed"


def test_resuming_all_leaves_the_pause_of_a_type(queue):
    queue.enqueue("a")
    queue.rows("select pause_queue('operator'), pause_queue('operator', 'a')")
    queue.rows("select resume_queue('operator')")
    assert queue.claim() == []
    assert queue.one("select job_type from queue_pauses") == "a"


def test_a_pause_that_stands_is_kept(queue):
    first = queue.one("select * from pause_queue('ann', 'a', 'why')")
    assert (first["paused_by"], first["reason"]) == ("ann", "why")
    assert queue.one("select * from pause_queue('ben', 'a', 'because')") == first


def test_lifting_no_pause_says_so(queue):
    assert queue.one("select resume_queue('operator', 'a')") is False


@pytest.mark.parametrize("paused", ["generate-image", "*"])
def test_a_single_generation_is_not_claimed_either(queue, paused):
    job_id = queue.enqueue(generation_id=GENERATION)
    queue.rows("select pause_queue('operator', %s)", paused)
    with pytest.raises(psycopg.Error, match="generate-image cannot run now") as refused:
        queue.rows("select * from claim_generation(%s)", GENERATION)
    assert refused.value.sqlstate == "DR409"
    assert queue.status(job_id) == "pending"
    queue.rows("select resume_queue('operator', %s)", paused)
    assert queue.one("select id from claim_generation(%s)", GENERATION) == job_id


def test_a_generation_of_another_type_than_the_paused_is_claimed(queue):
    job_id = queue.enqueue(generation_id=GENERATION)
    queue.rows("select pause_queue('operator', 'a')")
    assert queue.one("select id from claim_generation(%s)", GENERATION) == job_id
