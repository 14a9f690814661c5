"""The page of failures and the views of stuck jobs and duplicates read no queue from end to end."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from lib.database import load
from lib.database.pool import Connection

plans = load("plans", Path(__file__).parents[1] / "rollup")
DAY = {"start": None, "length": timedelta(days=1)}
NEWEST = {"before": "infinity", "before_id": UUID(int=2**128 - 1)}
FIRST = {"after": "-infinity", "after_id": UUID(int=0)}
KEY = "0123456789ab"
CALLS = [
    ("failures", "groups", DAY),
    ("failures", "groups", DAY | {"length": timedelta(hours=1)}),
    ("failures", "unknown", {}),
    ("failures", "failed", DAY | NEWEST | {"key": None, "most": 200}),
    ("failures", "failed", DAY | NEWEST | {"key": KEY, "most": 200}),
    ("failures", "failed_ids", DAY | {"key": None, "most": 100_000}),
    ("failures", "failed_ids", DAY | {"key": KEY, "most": 100_000}),
    ("failures", "tried_again", {"key": None, "most": 200}),
    ("failures", "tried_again", {"key": KEY, "most": 200}),
    ("failures", "job", {"job_id": UUID(int=1)}),
    ("failures", "attempts", {"job_id": UUID(int=1)}),
    ("jobs", "stuck", FIRST | {"model_id": None, "job_type": None, "most": 500}),
    ("jobs", "duplicates", {}),
    ("jobs", "repeated", DAY | {"most": 500}),
]


@pytest.fixture
def filled(db: Connection) -> Connection:
    """A queue that has a history and is folded."""
    plans.fill(db)
    db.execute("select rebuild_rollup()")
    return db


def scans(db: Connection) -> int:
    plans.flush(db)
    return int(plans.scans(db))


def test_no_sequential_scan(filled: Connection) -> None:
    found = {}
    for page, query, parameters in CALLS:
        before = scans(filled)
        # More often than the five times after which a plan no longer depends on its parameters.
        for _ in range(7):
            getattr(load(page), query)(filled, **parameters)
        found[f"{page}.{query} {parameters}"] = scans(filled) - before
    assert {call: count for call, count in found.items() if count} == {}
    filled.execute("select count(*) from job_queue where payload is not null")
    assert scans(filled) == before + 1
