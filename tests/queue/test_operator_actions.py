"""Operators' actions on more jobs than one transaction should change."""

from uuid import uuid4

import pytest

from lib.database import open_pool
from lib.queue.operator_actions import BATCH, cancel_duplicates, cancel_jobs, in_batches, retry_jobs


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
