"""Only a job that was started has waited."""

from datetime import timedelta
from pathlib import Path

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"
WAITS = "select jobs, waits, wait_histogram, wait_us_max from job_rollup where not purged"


def test_a_job_cancelled_before_its_start_has_no_wait(history):
    history.cancel([history.enqueue()])
    history.now += timedelta(hours=1)
    history.refresh()
    [row] = history.db.execute(WAITS).fetchall()
    assert row == {"jobs": 1, "waits": 0, "wait_histogram": 0, "wait_us_max": None}


def test_what_was_folded_with_such_waits_is_put_right(history):
    history.enqueue()
    history.enqueue()
    history.cancel(history.claim(1, wait=0.0002))
    history.cancel(history.ids("select id from job_queue where status = 'pending'"))
    history.now += timedelta(hours=1)
    history.refresh()
    right = history.db.execute(WAITS).fetchall()
    assert [(row["jobs"], row["waits"]) for row in right] == [(2, 1)]
    history.db.execute("update job_rollup set waits = 2, wait_histogram = wait_histogram + 1")
    assert history.db.execute("select * from verify_rollup()").fetchall() != []
    [migration] = MIGRATIONS.glob("*_waits_of_started_jobs.sql")
    _, correction = migration.read_text().split("-- What was folded before")
    history.db.execute(f"-- {correction}".encode())
    assert history.db.execute(WAITS).fetchall() == right
    assert history.db.execute("select * from verify_rollup()").fetchall() == []
