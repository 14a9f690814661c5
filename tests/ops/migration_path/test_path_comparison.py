"""The comparison of the paths says what plain SQL says of all rows, folded or not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lib.database import load
from lib.database.pool import Connection

ERROR = 0.1  # What percentiles of histograms promise.
rollout = load("migration_path")
plain = load("comparison", Path(__file__).parent)
HOUR = timedelta(hours=1)
COUNTS = ["completed", "failed", "cancelled"]


def refresh(db: Connection) -> None:
    """Folds all that may be folded; nobody works beside the test."""
    for _ in range(3):
        while db.execute("select refresh_rollup() as more").fetchone()["more"]:
            pass


@pytest.fixture
def filled(db: Connection) -> Connection:
    fill(db, 40, 20, 3, 0)
    return db


def fill(db: Connection, *hours_ago: int) -> None:
    plain.fill(db)
    for hours in hours_ago:
        # In one transaction, lest the hour changes in between.
        with db.transaction():
            plain.end_some(db)
            plain.move_ended(db, hours=hours)


def spans(db: Connection) -> list[dict[str, Any]]:
    at = db.execute("select now() as at").fetchone()["at"]
    return [
        {"start": None, "length": HOUR, "bucket": "hour"},
        {"start": None, "length": 24 * HOUR, "bucket": "hour"},
        {"start": None, "length": 96 * HOUR, "bucket": "day"},
        {"start": at - 50 * HOUR, "length": 30 * HOUR, "bucket": "hour"},
        {"start": at - 900 * HOUR, "length": 30 * HOUR, "bucket": "hour"},
    ]


def close(estimate: float | None, truth: float | None) -> bool:
    if estimate is None or truth is None:
        return estimate is truth
    return abs(estimate - truth) <= max(ERROR * truth, 0.001)


def compare(db: Connection) -> int:
    """Asserts that page and rows agree; how many generations ended in all the times."""
    seen = 0
    for span in spans(db):
        with db.transaction():
            rows = {(r["path"], r["model_id"]): r for r in rollout.compared(db, **span)}
            truth = {(r["path"], r["model_id"]): r for r in plain.compared(db, **span)}
            assert rows.keys() == truth.keys()
            for key, expected in truth.items():
                row = rows[key]
                assert [row[name] for name in COUNTS] == [expected[name] for name in COUNTS], key
                assert row["mean_seconds"] == pytest.approx(expected["mean_seconds"])
                ended = row["completed"] + row["failed"]
                assert row["failure_share"] == (row["failed"] / ended if ended else None)
                assert close(row["p50_seconds"], expected["p50_seconds"])
                assert close(row["p95_seconds"], expected["p95_seconds"])
                seen += expected["completed"]
            for model in (None, "m/1"):
                compare_steps(db, span, model)
            errors = rollout.sync_errors(db, **span)
            assert sorted(errors, key=str) == sorted(plain.sync_errors(db, **span), key=str)
    return seen


def compare_steps(db: Connection, span: dict[str, Any], model: str | None) -> None:
    truth = {(row["at"], row["path"]): row for row in plain.steps(db, model=model, **span)}
    steps = rollout.steps(db, model=model, **span)
    assert {at for at, _ in truth} <= {step["at"] for step in steps}
    for step in steps:
        for path in ("async", "sync"):
            expected = truth.get((step["at"], path), {"failed": None, "p50": None, "p95": None})
            failed = step[f"{path}_failed"]
            assert failed == pytest.approx(expected["failed"]) or failed is expected["failed"]
            assert close(step[f"{path}_p50"], expected["p50"])
            assert close(step[f"{path}_p95"], expected["p95"])


def test_never_folded(filled):
    assert plain.folded(filled)["held"] == 0
    assert compare(filled) > 5000


def test_folded_by_the_hour_and_the_rest_from_rows(filled):
    refresh(filled)
    folded = plain.folded(filled)
    assert folded["held"] == folded["completed"] > 2000
    compare(filled)
    refresh(filled)
    assert plain.folded(filled)["held"] == folded["held"]


def test_rows_loaded_past_the_queue_are_counted_after_a_rebuild(filled):
    refresh(filled)
    fill(filled, 41, 21, 4, 1)
    filled.execute("select rebuild_rollup()")
    compare(filled)
    refresh(filled)
    folded = plain.folded(filled)
    assert folded["held"] == folded["completed"] > 4000
    compare(filled)


def test_purged_jobs_keep_their_times_also_through_a_rebuild(filled):
    refresh(filled)
    span = {"start": None, "length": 96 * HOUR, "bucket": "hour"}
    before = rollout.compared(filled, **span)
    purge = "select purged from purge_finished_jobs('operator', interval '30 hours', 700)"
    assert filled.execute(purge).fetchone()["purged"] == 700
    assert rollout.compared(filled, **span) == before
    filled.execute("select rebuild_rollup()")
    refresh(filled)
    assert rollout.compared(filled, **span) == before


def test_a_failed_job_that_is_retried_and_completes_counts_once(db):
    db.execute("select enqueue_job('generate-image', '{\"model_id\": \"m/1\"}')")
    db.execute("select complete_job(id, false, 'no', '{\"permanent\": true}') from claim_jobs(1)")
    span = {"start": None, "length": HOUR, "bucket": "hour"}
    assert rollout.compared(db, **span)[0]["failed"] == 1
    db.execute("select retry_jobs('operator', array(select id from job_queue))")
    db.execute("update job_queue set scheduled_at = now()")
    db.execute("select complete_job(id) from claim_jobs(1)")
    [row, _] = rollout.compared(db, **span)
    assert [row[name] for name in COUNTS] == [1, 0, 0]


def test_empty(db):
    for span in spans(db):
        assert rollout.compared(db, **span) == []
        assert rollout.sync_errors(db, **span) == []
        for step in rollout.steps(db, model=None, **span):
            assert set(step.values()) == {step["at"], None}
    assert rollout.users(db) == []


def test_no_sequential_scan_of_history(filled):
    filled.execute("select rebuild_rollup()")
    refresh(filled)
    filled.execute(
        "insert into image_generations (prompt, model_id, created_at)"
        " select 'old', 'm/1', now() - interval '8 days' from generate_series(1, 50000)"
    )
    filled.execute("analyze")
    scans = (
        "select pg_stat_force_next_flush(), coalesce(sum(seq_scan), 0) as scans"
        " from pg_stat_user_tables where relname in ('job_queue', 'image_generations')"
    )
    before = filled.execute(scans).fetchone()["scans"]
    span = {"start": None, "length": 72 * HOUR, "bucket": "day"}
    # More often than the five times after which a plan no longer depends on its parameters.
    for _ in range(7):
        rollout.state(filled)
        rollout.users(filled)
        rollout.compared(filled, **span)
        rollout.steps(filled, model=None, **span)
        rollout.sync_errors(filled, **span)
        rollout.changes(filled)
    filled.execute("select pg_stat_force_next_flush()")
    assert filled.execute(scans).fetchone()["scans"] == before
