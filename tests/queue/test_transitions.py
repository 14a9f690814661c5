"""The state machine of a job, and the audit of what operators do to it."""

from itertools import permutations

import psycopg
import pytest

STATES = ("pending", "processing", "completed", "failed", "cancelled")
LEGAL = {
    ("pending", "processing"),
    ("pending", "cancelled"),
    ("processing", "pending"),
    ("processing", "completed"),
    ("processing", "failed"),
    ("processing", "cancelled"),
    ("failed", "pending"),
    ("cancelled", "pending"),
}


@pytest.fixture
def in_state(queue):
    """Writes a job in a state straight into the table."""
    insert = "insert into job_queue (job_type, status) values ('x', %s) returning id"
    return lambda state: queue.one(insert, state)


def set_status(queue, job_id, new):
    queue.db.execute("update job_queue set status = %s where id = %s", [new, job_id])


def test_every_illegal_transition_is_refused_in_a_sentence(queue, in_state):
    for old, new in set(permutations(STATES, 2)) - LEGAL:
        job_id = in_state(old)
        with pytest.raises(psycopg.Error) as refused:
            set_status(queue, job_id, new)
        assert refused.value.sqlstate == "DR409", (old, new)
        sentence = f"job {job_id} is {old}: it cannot become {new}"
        assert refused.value.diag.message_primary == sentence
        assert queue.status(job_id) == old


def test_every_legal_transition_is_allowed(queue, in_state):
    for old, new in LEGAL | {(state, state) for state in STATES}:
        job_id = in_state(old)
        set_status(queue, job_id, new)
        assert queue.status(job_id) == new


@pytest.mark.parametrize("success", [True, False])
def test_only_a_processing_job_can_be_completed(queue, in_state, success):
    for state in set(STATES) - {"processing"}:
        job_id = in_state(state)
        with pytest.raises(psycopg.Error) as refused:
            queue.one("select complete_job(%s, %s)", job_id, success)
        assert refused.value.sqlstate == "DR409"
        sentence = f"job {job_id} is {state}: only a processing job can be completed"
        assert refused.value.diag.message_primary == sentence
        assert queue.status(job_id) == state


def test_a_job_that_does_not_exist_is_not_found(queue):
    with pytest.raises(psycopg.Error, match="there is no job") as refused:
        queue.complete("00000000-0000-0000-0000-000000000009")
    assert refused.value.sqlstate == "DR404"


def test_every_action_of_an_operator_is_written_down(queue):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    queue.reset(actor="ann")
    queue.cancel(job_id, actor="ben")
    queue.cancel(job_id, actor="ben")
    queue.retry(job_id, actor="cem")
    queue.rows("select pause_queue('dee', 'generate-image', 'too slow')")
    [row] = queue.rows("select to_jsonb(p) - 'job_type' as pause from queue_pauses p")
    pause, kind = row["pause"], {"job_type": "generate-image"}
    queue.rows("select resume_queue('eli', 'generate-image')")
    one, none = {"job_ids": [str(job_id)]}, {"job_ids": []}

    def was(before: str, after: str):
        return one | {"before": {before: 1}, "after": {after: 1}}

    assert [tuple(entry.values()) for entry in queue.audit()] == [
        ("ann", "reset_stuck_jobs", 1, was("processing", "pending")),
        ("ben", "cancel_jobs", 1, was("pending", "cancelled")),
        ("ben", "cancel_jobs", 0, none | {"before": {}, "after": {}}),
        ("cem", "retry_jobs", 1, was("cancelled", "pending")),
        (
            "dee",
            "pause_queue",
            1,
            kind | {"reason": "too slow", "before": "claimed", "after": pause},
        ),
        ("eli", "resume_queue", 1, kind | {"before": pause, "after": "claimed"}),
    ]


@pytest.mark.parametrize(
    "call",
    [
        "cancel_jobs(%s, (select array_agg(id) from job_queue))",
        "retry_jobs(%s, (select array_agg(id) from job_queue))",
        "reset_stuck_jobs(%s)",
        "pause_queue(%s)",
        "resume_queue(%s)",
    ],
)
def test_an_action_without_an_actor_is_refused(queue, call):
    waiting, stuck, failed = queue.enqueue(due="1 hour"), queue.claimed(), queue.claimed()
    queue.fail(failed, permanent=True)
    queue.make_silent(stuck)
    for actor in (None, "", "  "):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="actor is empty"):
            queue.rows(f"select {call}", actor)
    assert [queue.status(j) for j in (waiting, stuck, failed)] == [
        "pending",
        "processing",
        "failed",
    ]
    assert queue.audit() == queue.rows("select * from queue_pauses") == []
