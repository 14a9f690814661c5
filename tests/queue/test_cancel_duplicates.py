"""Waiting jobs that nobody needs are cancelled, and no other."""

import pytest
from queue_calls import GENERATION


def cancel(queue, actor="operator"):
    return {row["id"] for row in queue.rows("select id from cancel_duplicates(%s)", actor)}


def completed(queue):
    """The job that made a generation's image."""
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    queue.complete(job_id)
    return job_id


def test_a_waiting_job_is_cancelled_when_its_image_is_done(queue):
    first = completed(queue)
    again = queue.enqueue(generation_id=GENERATION)
    other = queue.enqueue()
    assert cancel(queue) == {again}
    assert [queue.status(job) for job in (first, again, other)] == [
        "completed",
        "cancelled",
        "pending",
    ]
    job = queue.job(again)
    assert job["completed_at"] is not None
    assert job["error_message"] == ("Cancelled as a duplicate: its image already exists.")
    assert queue.generation()["status"] == "completed"
    assert queue.audit()[-1] == {
        "actor": "operator",
        "action": "cancel_duplicates",
        "affected": 1,
        "details": {
            "job_ids": [str(again)],
            "before": {"pending": 1},
            "after": {"cancelled": 1},
        },
    }


def test_a_duplicate_that_waits_for_another_attempt_has_no_run(queue):
    kept = queue.enqueue(generation_id="g-1", due="1 h")
    again = queue.claimed(generation_id="g-1")
    queue.fail(again)
    assert cancel(queue) == {again}
    assert queue.job(again)["started_at"] is None
    assert queue.status(kept) == "pending"


def test_a_running_job_is_left_to_its_worker(queue):
    completed(queue)
    again = queue.claimed(generation_id=GENERATION)
    assert cancel(queue) == set()
    assert queue.status(again) == "processing"


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_new_job_for_what_ended_without_an_image_is_no_duplicate(queue, end):
    first = queue.claimed(generation_id=GENERATION)
    queue.begin(first)
    queue.fail(first, permanent=True) if end == "fail" else queue.cancel(first)
    again = queue.enqueue(generation_id=GENERATION)
    assert cancel(queue) == set()
    assert queue.status(again) == "pending"


def test_of_several_waiting_jobs_the_oldest_is_kept(queue):
    # Such ids are none for the index that keeps live generations apart.
    oldest, second, third = (queue.enqueue(generation_id=g) for g in ("g-1", "G-1", "g-1"))
    queue.enqueue(generation_id="g-2")
    assert cancel(queue) == {second, third}
    assert queue.status(oldest) == "pending"
    assert cancel(queue) == set()


def test_a_running_job_counts_as_the_oldest(queue):
    waiting = queue.enqueue(generation_id="g-1", due="1 h")
    running = queue.claimed(generation_id="g-1")
    assert cancel(queue) == {waiting}
    assert queue.status(running) == "processing"


def test_the_generation_follows_the_job_that_is_kept(queue):
    queue.db.execute("drop index job_queue_live_generation_key")
    insert = "insert into job_queue (job_type, payload) values ('generate-image', %s) returning id"
    payload = f'{{"generation_id": "{GENERATION}", "prompt": "p"}}'
    first = queue.one(insert, payload)
    [claimed] = queue.claim()
    queue.begin(claimed)
    second = queue.one(insert, payload)
    assert claimed == first
    assert cancel(queue) == {second}
    assert queue.generation()["status"] == "processing"


def test_the_substitute_of_a_job_that_fails_meanwhile_is_kept(queue, second, blocked):
    """Whoever cancels waits for the job that fails, and looks again."""
    running = queue.claimed(generation_id="g-1")
    waiting = queue.enqueue(generation_id="g-1")
    with queue.db.transaction():
        queue.fail(running, permanent=True)
        cancelling = blocked(lambda: cancel(second))
    assert cancelling.result() == set()
    assert queue.status(waiting) == "pending"


@pytest.mark.parametrize("actor", ["", "  ", None])
def test_nobody_cancels_without_a_name(queue, actor):
    with pytest.raises(Exception, match="actor is empty"):
        cancel(queue, actor)
