"""Operators' actions on more jobs than one transaction should change."""

from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from lib.database import QueryError, StatementFailed, open_pool
from lib.queue.operator_actions import (
    BATCH,
    MAX_REFUSED,
    Batches,
    cancel_duplicates,
    cancel_jobs,
    enqueue_job,
    in_batches,
    retry_jobs,
    set_priority,
)


@pytest.fixture
def pool(database):
    with open_pool(database) as pool:
        yield pool


def failed(db, count):
    """The ids of new failed jobs."""
    return [
        row["id"]
        for row in db.execute(
            "insert into job_queue (job_type, status, attempts, completed_at)"
            " select 'a', 'failed', 1, now() from generate_series(1, %s) returning id",
            [count],
        )
    ]


def test_many_jobs_are_retried_in_batches_that_the_audit_log_holds(db, pool):
    jobs, shares = failed(db, 2 * BATCH + 3), []
    assert in_batches(retry_jobs, pool, "me", jobs, shares.append) == len(jobs)
    assert shares == [BATCH / len(jobs), 2 * BATCH / len(jobs), 1.0]
    waiting = db.execute("select count(*) from job_queue where status = 'pending'").fetchone()
    assert waiting == {"count": len(jobs)}
    audit = db.execute("select actor, action, affected from audit_log order by id").fetchall()
    assert [tuple(row.values()) for row in audit] == [
        ("me", "retry_jobs", BATCH),
        ("me", "retry_jobs", BATCH),
        ("me", "retry_jobs", 3),
    ]


def test_only_what_changed_is_counted(db, pool):
    jobs = failed(db, 2)
    assert in_batches(cancel_jobs, pool, "me", [*jobs, uuid4()], lambda _: None) == 0
    retry_jobs(pool, "me", jobs[:1])
    assert in_batches(cancel_jobs, pool, "me", jobs, lambda _: None) == 1
    assert in_batches(retry_jobs, pool, "me", [], lambda _: None) == 0


def test_duplicates_are_cancelled_at_once(db, pool):
    for _ in range(3):
        db.execute("select enqueue_job('a', '{\"generation_id\": \"g-1\"}')")
    assert len(cancel_duplicates(pool, "me")) == 2
    assert cancel_duplicates(pool, "me") == []


REFUSE = """
create function refuse() returns trigger language plpgsql
as $$ begin raise exception 'not this one'; end; $$;
create trigger refuse before update on job_queue for each row
when (new.job_type = 'bad') execute function refuse();
"""


def test_a_job_that_the_database_refuses_does_not_stop_the_others(db, pool):
    jobs = failed(db, BATCH + 10)
    db.execute("update job_queue set job_type = 'bad' where id = any(%s)", [jobs[7:9]])
    db.execute(REFUSE)
    batches = Batches(retry_jobs, jobs)
    while not batches.finished:
        batches.next(pool, "me")
    assert (batches.done, batches.changed, batches.refused) == (len(jobs), len(jobs) - 2, 2)
    waiting = db.execute("select count(*) from job_queue where status = 'pending'").fetchone()
    assert waiting == {"count": len(jobs) - 2}
    audit = db.execute("select sum(affected)::int as affected from audit_log").fetchone()
    assert audit == {"affected": len(jobs) - 2}


def test_batches_give_up_when_all_is_refused(db, pool):
    jobs = failed(db, 10 * MAX_REFUSED)
    db.execute("update job_queue set job_type = 'bad'")
    db.execute(REFUSE)
    with pytest.raises(StatementFailed, match="not this one"):
        in_batches(retry_jobs, pool, "me", jobs, lambda _: None)
    left = db.execute("select count(*) from job_queue where status = 'failed'").fetchone()
    assert left == {"count": len(jobs)}


def test_pending_jobs_are_cancelled_and_running_ones_only_if_said(db, pool):
    pending = enqueue_job(pool, "me", "a", {})
    [running] = db.execute(
        "insert into job_queue (job_type, status, attempts, started_at)"
        " values ('a', 'processing', 1, now()) returning id"
    )
    both = [pending, running["id"]]
    assert cancel_jobs(pool, "me", both, running=False) == [pending]
    assert cancel_jobs(pool, "me", both) == [running["id"]]


def test_pending_jobs_get_another_priority(db, pool):
    jobs = [enqueue_job(pool, "me", "a", {}) for _ in range(3)]
    db.execute("update job_queue set status = 'cancelled' where id = %s", [jobs[0]])
    assert in_batches(partial(set_priority, priority=5), pool, "ann", jobs, lambda _: None) == 2
    found = db.execute("select id from job_queue where priority = 5 order by created_at").fetchall()
    assert [row["id"] for row in found] == jobs[1:]
    audit = db.execute("select actor, affected from audit_log where action = 'set_priority'")
    assert audit.fetchall() == [{"actor": "ann", "affected": 2}]


def test_a_job_of_an_existing_deployment_without_a_priority_gets_one(db, pool):
    job = enqueue_job(pool, "me", "a", {})
    db.execute("alter table job_queue alter column priority drop not null")
    db.execute("update job_queue set priority = null")
    assert in_batches(partial(set_priority, priority=5), pool, "ann", [job], lambda _: None) == 1
    [row] = db.execute("select details from audit_log where action = 'set_priority'").fetchall()
    assert row["details"]["before"] == {"0": 1}


def test_a_job_is_enqueued_by_an_operator(db, pool):
    at = datetime(2100, 1, 1, tzinfo=UTC)
    id = enqueue_job(pool, "ann", "resize", {"width": 5}, priority=3, scheduled_at=at)
    [job] = db.execute("select job_type, payload, priority, scheduled_at, id from job_queue")
    assert tuple(job.values()) == ("resize", {"width": 5}, 3, at, id)
    [entry] = db.execute("select actor, action, details -> 'job_ids' as ids from audit_log")
    assert tuple(entry.values()) == ("ann", "enqueue_job", [str(id)])
    with pytest.raises(QueryError, match="job_type is empty"):
        enqueue_job(pool, "ann", " ", {})
    with pytest.raises(QueryError, match="actor is empty"):
        enqueue_job(pool, "", "resize", {})
