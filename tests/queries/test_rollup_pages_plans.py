"""What the Overview, Throughput and Models ask never reads job_queue from end to end."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from lib.database import load
from lib.database.pool import Connection

plans = load("plans", Path(__file__).parents[1] / "rollup")
overview, throughput, models = load("overview"), load("throughput"), load("models")

DAYS = {"start": None, "length": timedelta(days=20), "bucket": "day"}
HOURS = {"start": None, "length": timedelta(hours=5)}
CALLS: list[tuple[Any, dict[str, Any]]] = [
    (overview.now, {}),
    (overview.hours, {}),
    (overview.quarters, {}),
    (overview.events, {"length": timedelta(days=1)}),
    (overview.failures, {}),
    (overview.running, {}),
    (overview.images, {}),
    (throughput.ended, {"by": "model", **DAYS}),
    (throughput.ended_by_minute, {"by": "model", **HOURS}),
    (throughput.times, DAYS),
    (throughput.times_by_minute, HOURS),
    (throughput.purged, HOURS),
    (throughput.flow, DAYS),
    (throughput.flow_by_minute, {"length": timedelta(hours=5)}),
    (throughput.pace, {}),
    (models.models, {"step": "day", "most": 100, **DAYS}),
    (models.compared, DAYS),
    (models.distribution, {"model": "m1", **DAYS}),
    (models.trend, {"step": "day", "model": None, **DAYS}),
    (models.errors, {"model": "m1", **DAYS}),
]


def scans(db: Connection) -> int:
    plans.flush(db)
    return int(plans.scans(db))


def test_no_sequential_scan(db: Connection) -> None:
    plans.fill(db)
    db.execute("select rebuild_rollup()")
    found = {}
    for query, parameters in CALLS:
        before = scans(db)
        # More often than the five times after which a plan no longer depends on its parameters.
        for _ in range(7):
            query(db, **parameters)
        if after := scans(db) - before:
            found[query.__name__] = after
    assert found == {}
    db.execute("select count(*) from job_queue where payload is not null")
    assert scans(db) > before, "scans are not counted"
