"""Whatever rows hold: workers, history and pages go on, and every other job is counted."""

import json
from typing import Any

import pytest
from extreme_rows import ExtremeRows
from rig import rigged

from bench.recording import views
from lib.database.pool import Connection

NORMAL = 20
CLAIM = "select id, attempts, job_type from claim_jobs(100)"
END = "select complete_job(%s, %s, %s, %s::jsonb, %s)"


@pytest.fixture(params=[0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def rows(db: Connection, request: pytest.FixtureRequest) -> ExtremeRows:
    """A queue full of such rows, and a few normal jobs among them."""
    rows = ExtremeRows(db, request.param)
    rows.insert(200)
    assert rows.inserted > 100
    db.execute(
        "select enqueue_job('normal', '{}', 2147483647) from generate_series(1, %s)", [NORMAL]
    )
    return rows


def run_all(rows: ExtremeRows) -> None:
    """Claims whatever is due and ends it somehow, until nothing is."""
    for _ in range(1000):
        claimed = rows.db.execute(CLAIM).fetchall()
        if not claimed:
            return
        for job in claimed:
            details = json.dumps(rows.details())
            succeeds = job["job_type"] == "normal" or rows.draw.random() < 0.5
            end = [job["id"], succeeds, rows.text(None), details, job["attempts"]]
            rows.db.execute(END, end)
        rows.db.execute(
            "update job_queue set scheduled_at = now() where status = 'pending'"
            " and scheduled_at < '2100-01-01' and attempts < 4"
        )
    raise AssertionError("there is no end to it")


def fold(db: Connection, eventually: Any) -> None:
    """Folds until nothing that ended is left."""
    last = db.execute("select clock_timestamp() as at").fetchone()["at"]

    def folded() -> bool:
        db.execute("select refresh_rollup()")
        return bool(
            db.execute("select folded_until > %s as f from rollup_state", [last]).fetchone()["f"]
        )

    eventually(folded)


def test_jobs_run_and_are_folded(rows, db, eventually):
    run_all(rows)
    db.execute("select rescue_stuck_jobs('1 second')")
    fold(db, eventually)
    counted = "select sum(jobs)::int as jobs from job_rollup where job_type = 'normal'"
    assert db.execute(counted).fetchone()["jobs"] == NORMAL
    assert db.execute("select * from set_aside_jobs").fetchall() == []
    assert db.execute("select * from verify_rollup()").fetchall() == []
    for statement in (
        "select sample_queue()", "select evaluate_alerts()", "select * from queue_health",
        "select * from ended_totals()", "select * from recent_times()",
        "select purge_finished_jobs('me', '1 day')",
    ):  # fmt: skip
        db.execute(statement)


@pytest.mark.slow
def test_every_page_opens(rows, db, database, eventually):
    job = db.execute("select id from job_queue where status = 'failed' limit 1").fetchone()["id"]
    examples = {"job": {"id": str(job)}}
    assert len(views(database, examples)) > 15
    run_all(rows)
    fold(db, eventually)
    for view in views(database, examples):
        for call in view.calls.values():
            call.of(db)  # A page would show its error in a sentence.


@pytest.mark.slow
def test_a_worker_goes_on(rows, db, database, tmp_path, eventually):
    with rigged(db, database, tmp_path, eventually) as rig:
        jobs = [rig.start(f"Number {n}") for n in range(5)]
        worker = rig.worker(DARKROOM_RESCUE_SECONDS="1")
        rig.wait_for("completed", *jobs)
        fold(db, eventually)
        jobs.append(rig.start("After all of them"))
        rig.wait_for("completed", *jobs)
        assert worker.alive
        assert "Traceback" not in worker.log
