"""What every page asks for its frame: right, and as cheap with a long queue as with a short one."""

from typing import Any

import pytest

from bench.cost import reads
from lib.database import load
from lib.database.pool import Connection

frame = load("frame")
MOST_ROWS = 50
WORKER = (
    "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
    " concurrency, last_seen_at, stopped_at) select gen_random_uuid(), %(kind)s, 'here', 1, now(),"
    " '1', '{a}', 1, now() - %(seen)s::interval, case when %(stopped)s then now() end"
)
PENDING = "insert into job_queue (job_type) select 'a' from generate_series(1, %s)"
FAILURE = (
    "insert into failure_rollup (hour, job_type, model_id, error_group, error_code, purged, jobs,"
    " first_at, last_at, users) select date_trunc('hour', now() - %s::interval, 'UTC'), 'a',"
    " m::text, 'kind ' || m %% %s, '', false, 1, now(), now(), '{}' from generate_series(1, %s) m"
)


def state(db: Connection) -> dict[str, Any]:
    found = frame.state(db)
    assert isinstance(found, dict)
    return found


def test_nothing_is_known_of_an_empty_queue_that_nobody_watches(db: Connection):
    assert state(db) == {
        "alerts_known": False,
        "critical": 0,
        "warnings": 0,
        "pending": 0,
        "pending_at_least": False,
        "failure_groups": 0,
        "failure_groups_at_least": False,
        "workers_alive": 0,
        "workers_expected": 0,
    }


def test_alerts_are_those_that_fire(db: Connection):
    db.execute("select evaluate_alerts()")
    assert state(db)["alerts_known"]
    db.execute(
        "insert into alerts (rule, subject, severity, value, worst, detail, began_at, fired_at,"
        " resolved_at) values"
        " ('stuck_jobs', '', 'warning', 1, 1, '{}', now(), now(), null),"
        " ('no_worker', '', 'critical', 1, 1, '{}', now(), now(), null),"
        " ('wait_p95', '', 'warning', 1, 1, '{}', now(), null, null),"
        " ('provider_down', 'x', 'critical', 1, 1, '{}', now(), now(), now())"
    )
    assert (state(db)["critical"], state(db)["warnings"]) == (1, 1)
    db.execute("update alert_watch set evaluated_at = now() - interval '2 minutes'")
    assert not state(db)["alerts_known"]


def test_a_short_queue_is_counted_and_a_long_one_sampled(db: Connection):
    db.execute(PENDING, [9])
    assert (state(db)["pending"], state(db)["pending_at_least"]) == (9, False)
    db.execute(PENDING, [16])
    assert (state(db)["pending"], state(db)["pending_at_least"]) == (10, True)
    db.execute("select sample_queue()")
    assert (state(db)["pending"], state(db)["pending_at_least"]) == (25, False)
    db.execute("update queue_samples set minute = minute - interval '5 minutes'")
    assert (state(db)["pending"], state(db)["pending_at_least"]) == (10, True)


def test_failures_are_counted_by_kind(db: Connection):
    db.execute(FAILURE, ["1 hour", 3, 12])
    db.execute(FAILURE, ["2 hours", 5, 20])
    assert (state(db)["failure_groups"], state(db)["failure_groups_at_least"]) == (3, False)


@pytest.mark.parametrize(
    ("kind", "seen", "stopped", "counts"),
    [
        ("worker", "10 seconds", False, (1, 1)),
        ("worker", "5 minutes", False, (0, 1)),
        ("worker", "5 minutes", True, (0, 0)),
        ("worker", "20 minutes", False, (0, 0)),
        ("process-jobs", "90 seconds", True, (1, 1)),
        ("process-jobs", "5 minutes", False, (0, 0)),
    ],
)
def test_workers_that_fell_silent_are_expected(db: Connection, kind, seen, stopped, counts):
    db.execute(WORKER, {"kind": kind, "seen": seen, "stopped": stopped})
    assert (state(db)["workers_alive"], state(db)["workers_expected"]) == counts


def test_reads_few_rows_of_a_long_queue(db: Connection):
    db.execute(PENDING, [20_000])
    db.execute(FAILURE, ["1 hour", 40, 2_000])
    for n in range(1, 300):
        db.execute(WORKER, {"kind": "process-jobs", "seen": f"{n} minutes", "stopped": True})
    db.execute("select sample_queue()")
    db.execute("select evaluate_alerts()")
    db.execute("analyze")
    assert state(db)["pending"] == 20_000
    rows, whole_scans = reads(db, lambda: state(db))
    assert whole_scans == ()
    assert rows <= MOST_ROWS
