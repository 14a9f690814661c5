"""Folding: two at once, long transactions, late commits, jobs that come back, what it reads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from history import FOREVER, History, compare, compare_health, readers

from lib.database import connect
from lib.database.pool import Connection

REFRESH = "select refresh_rollup()"
SETTLED = "select * from verify_rollup()"


@pytest.fixture
def second(database: str) -> Iterator[Connection]:
    """Another connection to the history's database."""
    with connect(database) as connection:
        yield connection


def finished(history: History, *, jobs: int = 3, fails: bool = False, **payload: Any) -> list[Any]:
    """Ids of jobs that ended now."""
    for _ in range(jobs):
        history.enqueue(**payload)
    claimed = history.claim(jobs)
    for job_id in claimed:
        if fails:
            history.fail(job_id)
        else:
            history.complete(job_id)
    return claimed


def folded_jobs(history: History) -> int:
    return int(history.value("select coalesce(sum(jobs), 0) from job_rollup where not purged"))


def test_what_finished_is_folded_once(history):
    finished(history)
    history.now += timedelta(seconds=1)
    for _ in range(3):
        history.refresh()
    assert folded_jobs(history) == 3
    assert compare(history.db, FOREVER) == 3


def test_a_second_refresh_stands_back_and_nothing_counts_twice(history, second):
    finished(history)
    history.now += timedelta(seconds=1)
    with history.db.transaction():
        history.refresh()
        answer = second.execute(REFRESH).fetchone()
        assert answer == {"refresh_rollup": False}
        assert second.execute("select count(*) from job_rollup").fetchone() == {"count": 0}
        compare(second, FOREVER)
    assert folded_jobs(history) == 3
    compare(second, FOREVER)


def test_many_refreshes_at_once_fold_everything_once(history, database):
    for _ in range(30):
        finished(history, jobs=2)
        history.now += timedelta(minutes=40)

    def refresh_often(_: int) -> None:
        with connect(database) as connection:
            for _ in range(10):
                connection.execute(REFRESH)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(refresh_often, range(4)))
    assert folded_jobs(history) == 60
    assert history.db.execute(SETTLED).fetchall() == []


def test_a_refresh_right_after_another_can_be_declined(history):
    history.refresh()
    before = history.value("select refreshed_at from rollup_state")
    history.db.execute("select refresh_rollup('1 minute')")
    assert history.value("select refreshed_at from rollup_state") == before
    history.db.execute("select refresh_rollup('0')")
    assert history.value("select refreshed_at from rollup_state") > before


def test_a_refresh_goes_on_at_once_while_much_is_left(history):
    finished(history)
    history.now += timedelta(seconds=1)
    history.db.execute(
        "update rollup_state set safe_until = %s, refreshed_at = clock_timestamp()", [history.now]
    )
    history.db.execute("select refresh_rollup('1 minute')")
    assert folded_jobs(history) == 3


def test_the_service_role_does_all_of_it(history):
    jobs = finished(history, fails=True)
    history.now += timedelta(days=2)
    history.db.execute("grant select on all_jobs, purged_jobs to service_role")
    history.db.execute("set role service_role")
    history.refresh()
    history.retry(jobs[:1])
    history.refresh()
    compare(history.db, FOREVER, "day")
    compare_health(history.db)
    history.rebuild()
    assert history.db.execute(SETTLED).fetchall() == []


def test_folding_waits_for_a_transaction_that_could_still_finish_a_job(db, second):
    db.execute("select enqueue_job('a', '{}')")
    claimed = db.execute("select id from claim_jobs(1)").fetchone()
    assert claimed is not None
    with second.transaction():
        second.execute("select complete_job(%s)", [claimed["id"]])
        for _ in range(3):
            db.execute(REFRESH)
        state = db.execute(
            "select folded_until < clock_timestamp() - (now() - xact_start) as waits"
            " from rollup_state, pg_stat_activity where pid = %s",
            [second.info.backend_pid],
        ).fetchone()
        assert state == {"waits": True}
    # Committed late, and counted at once.
    assert [row["jobs"] for row in readers.job_stats(db, bucket="all", **FOREVER)] == [1]
    for _ in range(3):
        db.execute(REFRESH)
    assert db.execute("select sum(jobs) from job_rollup").fetchone() == {"sum": 1}
    assert [row["jobs"] for row in readers.job_stats(db, bucket="all", **FOREVER)] == [1]


def test_folding_does_not_wait_forever(db, second):
    db.execute(
        "create or replace function rollup_patience() returns interval language sql immutable"
        " return interval '0'"
    )
    with second.transaction():
        second.execute("select pg_current_xact_id()")
        db.execute(REFRESH)
        db.execute(REFRESH)
        first = db.execute("select folded_until from rollup_state").fetchone()
        db.execute(REFRESH)
        assert db.execute("select folded_until from rollup_state").fetchone() != first


def test_an_hour_is_folded_again_after_its_end(history):
    finished(history)
    history.now += timedelta(minutes=70)
    history.refresh()
    # A commit that came later than any patience: the watermark has passed it.
    history.now -= timedelta(minutes=30)
    finished(history)
    history.now += timedelta(minutes=34)
    history.refresh()
    assert readers.queue_health(history.db)[0]["count"] == 3
    history.now += timedelta(minutes=61)
    history.refresh()
    assert readers.queue_health(history.db)[0]["count"] == 6
    assert history.db.execute(SETTLED).fetchall() == []


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_a_job_that_comes_back_leaves_the_figures_at_once(history, ending):
    jobs = finished(history, fails=ending == "failed")
    if ending == "cancelled":
        jobs = [history.enqueue() for _ in range(3)]
        history.cancel(jobs)
    history.now += timedelta(days=2)
    history.refresh()
    history.retry(jobs[:1])
    compare(history.db, FOREVER)
    compare_health(history.db)
    [row] = [row for row in readers.queue_health(history.db) if row["status"] == ending]
    assert row["count"] == 2
    history.refresh()
    assert history.value("select count(*) from rollup_dirty") == 0
    compare(history.db, FOREVER)
    assert history.db.execute(SETTLED).fetchall() == []


def test_a_change_that_a_refresh_does_not_see_keeps_its_mark(history, second):
    first, other, _ = finished(history, fails=True)
    history.now += timedelta(hours=2)
    history.refresh()
    history.retry([first])
    with second.transaction():
        second.execute("select retry_jobs('operator', %s)", [[other]])
        history.refresh()
        compare(history.db, FOREVER)
    compare(history.db, FOREVER)
    history.refresh()
    compare(history.db, FOREVER)
    assert history.db.execute(SETTLED).fetchall() == []


def test_a_half_folded_history_reads_the_same(history):
    for _ in range(20):
        finished(history, jobs=1)
        history.now += timedelta(hours=7)
    half = history.now - timedelta(days=3)
    history.db.execute("select fold_until(%s, 'infinity')", [half])
    assert 0 < folded_jobs(history) < 20
    assert compare(history.db, FOREVER, "day") == 20
    history.refresh()
    assert folded_jobs(history) == 20
    assert compare(history.db, FOREVER, "day") == 20


def test_verify_finds_a_wrong_bucket(history):
    finished(history)
    history.now += timedelta(days=2)
    history.refresh()
    history.db.execute("update job_rollup set jobs = jobs + 1")
    found = history.db.execute(SETTLED).fetchall()
    assert {(row["rollup"], row["source"]) for row in found} == {
        ("job_rollup", "rollup"),
        ("job_rollup", "rows"),
        ("job_rollup_daily", "rollup"),
        ("job_rollup_daily", "rows"),
    }
    history.rebuild()
    assert history.db.execute(SETTLED).fetchall() == []


def test_rows_loaded_into_the_past_are_counted_after_a_rebuild(history):
    history.refresh()
    history.db.execute(
        "insert into job_queue (job_type, status, completed_at) values ('a', 'completed', %s)",
        [history.now - timedelta(days=9)],
    )
    assert readers.queue_health(history.db) == []
    history.rebuild()
    compare_health(history.db)


def test_jobs_of_old_deployments_are_in_queue_health(history):
    history.db.execute(
        "insert into job_queue (job_type, status) values ('a', 'completed'), ('a', 'pending')"
    )
    compare_health(history.db)
