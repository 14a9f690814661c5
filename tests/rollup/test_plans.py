"""Nothing here reads job_queue from end to end."""

from pathlib import Path

import pytest

from lib.database import load
from lib.database.pool import Connection

plans = load("plans", Path(__file__).parent)

CALLS = [
    "select refresh_rollup()",
    "select * from job_stats(now() - interval '24 hours', now())",
    "select * from job_stats(now() - interval '20 days', now(), 'day')",
    "select * from job_stats('-infinity', 'infinity', 'all')",
    "select * from arrival_stats(now() - interval '24 hours', now())",
    "select * from arrival_stats('-infinity', 'infinity')",
    "select * from failure_stats(now() - interval '24 hours', now())",
    "select * from queue_health",
    "select * from failed_jobs_recent",
    "select * from stuck_jobs",
    "select retry_jobs('operator', array(select id from failed_jobs_recent limit 5))",
    "select refresh_rollup()",
    "select purge_finished_jobs('operator', interval '29 days', 100)",
]


@pytest.fixture
def filled(db: Connection) -> Connection:
    """A queue that has a history and is folded up to its last seconds."""
    plans.fill(db)
    db.execute("select rebuild_rollup()")
    assert scans(db, "select count(*) from job_queue where payload is not null") == 1
    return db


def scans(db: Connection, call: str) -> int:
    """Sequential scans of job_queue during a call."""
    before = scans_so_far(db)
    db.execute(call.encode())
    return scans_so_far(db) - before


def scans_so_far(db: Connection) -> int:
    plans.flush(db)
    return int(plans.scans(db))


def test_no_sequential_scan(filled: Connection) -> None:
    # More often than the five times after which a plan no longer depends on its parameters.
    found = {call: [scans(filled, call) for _ in range(7)] for call in CALLS}
    assert {call: counts for call, counts in found.items() if any(counts)} == {}
