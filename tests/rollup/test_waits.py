"""Only a job that was started has waited."""

from datetime import timedelta

WAITS = "select jobs, waits, wait_histogram, wait_us_max from job_rollup where not purged"


def test_a_job_cancelled_before_its_start_has_no_wait(history):
    history.cancel([history.enqueue()])
    history.now += timedelta(hours=1)
    history.refresh()
    [row] = history.db.execute(WAITS).fetchall()
    assert row == {"jobs": 1, "waits": 0, "wait_histogram": 0, "wait_us_max": None}
