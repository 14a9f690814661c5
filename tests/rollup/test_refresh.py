"""Folding: two at once, long transactions, late commits, jobs that come back, what it reads."""

import json
import random
import string
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


def test_a_job_that_cannot_be_folded_is_set_aside(db):
    """A row that came past the triggers, as from a restored backup."""
    db.execute("select enqueue_job('a', '{}') from generate_series(1, 30)")
    db.execute("select complete_job(id) from claim_jobs(30)")
    db.execute("alter table job_queue disable trigger job_queue_bounds")
    bad = db.execute(
        "insert into job_queue (job_type, status, started_at, completed_at)"
        " values ('a', 'completed', '-infinity', now()) returning id"
    ).fetchone()["id"]
    db.execute("alter table job_queue enable trigger job_queue_bounds")
    for _ in range(2):
        db.execute(REFRESH)
    counted = "select coalesce(sum(jobs), 0)::int as jobs from job_rollup"
    assert db.execute(counted).fetchone()["jobs"] == 30
    [aside] = db.execute("select * from set_aside_jobs").fetchall()
    assert (aside["job_id"], aside["step"]) == (bad, "history")
    assert "infin" in aside["error"]
    assert db.execute(SETTLED).fetchall() == []
    db.execute("update job_queue set started_at = completed_at where id = %s", [bad])
    db.execute("select retry_set_aside_jobs('0')")
    db.execute(REFRESH)
    assert db.execute(counted).fetchone()["jobs"] == 31


@pytest.mark.parametrize(
    ("column", "value"), [("job_type", "x"), ("model", "m"), ("code", "c"), ("model", "😀")]
)
def test_names_longer_than_an_index_entry_are_cut(db, column, value):
    job = {"job_type": "a", "model": "", "code": ""} | {column: random_text(value, 4000)}
    db.execute(
        "insert into job_queue (job_type, payload, status, completed_at, started_at, error_message,"
        " error_details) values (%s, %s, 'failed', now(), now(), %s, %s)",
        [
            job["job_type"],
            json.dumps({"model_id": job["model"]}),
            random_text("e", 4000) + job["model"],
            json.dumps({"code": job["code"]}),
        ],
    )
    for _ in range(2):
        db.execute(REFRESH)
    [failure] = db.execute("select * from failure_rollup").fetchall()
    assert len(failure["job_type"]) <= 200
    assert len(failure["model_id"]) <= 200
    assert len(failure["error_code"]) <= 60
    # The page finds the job of the group by the same key.
    key = "failure_key(error_message, error_details ->> 'code', payload ->> 'model_id')"
    group = "error_key(error_group, error_code)"
    query = f"select {key} = {group} as same from job_queue, failure_rollup"
    assert db.execute(query).fetchone() == {"same": True}


def random_text(prefix: str, length: int) -> str:
    """Text that cannot be compressed into an index entry."""
    draw = random.Random(1)
    if prefix == "😀":
        return "".join(chr(draw.randrange(0x1F300, 0x1F600)) for _ in range(length))
    return prefix + "".join(draw.choices(string.ascii_letters + string.digits, k=length))


def test_a_thousand_waits_since_1970_are_summed_up(db):
    db.execute(
        "select enqueue_job('a', '{}', p_scheduled_at => 'epoch') from generate_series(1, 8000)"
    )
    db.execute("select complete_job(id) from claim_jobs(8000)")
    for _ in range(2):
        db.execute(REFRESH)
    found = db.execute("select waits, wait_us from job_rollup").fetchone()
    assert found["waits"] == 8000
    assert found["wait_us"] > 2**63


def test_what_ends_after_the_clock_was_set_back_is_counted(db):
    def end(jobs: int) -> None:
        db.execute("select enqueue_job('a', '{}') from generate_series(1, %s)", [jobs])
        db.execute("select complete_job(id) from claim_jobs(100)")

    counted = (
        "select coalesce(sum(count), 0)::int as jobs from queue_health where status = 'completed'"
    )
    db.execute(REFRESH)
    end(20)
    ahead = "now() + interval '1 hour'"
    db.execute(f"update job_queue set completed_at = {ahead}")
    db.execute(f"update rollup_state set checkpoint_at = {ahead} + interval '1 second'")
    db.execute(REFRESH)
    assert db.execute("select folded_until > now() as ahead from rollup_state").fetchone()["ahead"]
    end(7)
    db.execute(REFRESH)
    assert db.execute(counted).fetchone()["jobs"] == 27
    assert db.execute(SETTLED).fetchall() == []
    end(3)
    db.execute(REFRESH)
    assert db.execute(counted).fetchone()["jobs"] == 30


def test_the_queue_is_sampled_once_a_minute(db):
    db.execute("select enqueue_job('a', '{}') from generate_series(1, 5)")
    db.execute("select enqueue_job('a', '{}', p_scheduled_at => now() + interval '1 hour')")
    db.execute("select claim_jobs(2)")
    db.execute("insert into queue_samples values (now() - interval '91 days', 1, 1, 1)")
    with db.transaction():  # In one minute.
        taken = [db.execute("select sample_queue() as s").fetchone()["s"] for _ in range(2)]
    assert taken == [True, False]
    [sample] = db.execute("select pending, due, processing from queue_samples").fetchall()
    assert sample == {"pending": 4, "due": 3, "processing": 2}
