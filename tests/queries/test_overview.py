"""The Overview says what the rows of all jobs say."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stages import close

from lib.checks.health import verdict
from lib.database import load
from lib.database.pool import Connection
from lib.queue.queue_state import QueueState, RuleLimit

overview, metrics = load("overview"), load("metrics")
plain = load("overview", Path(__file__).parent)

Row = dict[str, Any]


@pytest.fixture
def filled(db: Connection) -> Connection:
    """A folded history with retries and cancellations, and what waits and runs."""
    db.execute("select setseed(0.4)")
    plain.fill(db, quiet=False)
    plain.fill_live(db)
    plain.keep_purged(db)
    plain.all_jobs(db)
    db.execute("select rebuild_rollup()")
    plain.drop_kept(db)
    plain.fill_samples(db)
    return db


def rounded(rows: Iterable[Row]) -> list[Row]:
    """Rows whose seconds and shares may differ in how they were summed up."""
    return [
        {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def compare(db: Connection) -> None:
    # One transaction, so that now() is one moment.
    with db.transaction():
        expected = plain.now(db)
        found = overview.now(db)
        assert rounded([{name: found[name] for name in expected}]) == rounded([expected])
        assert close(found["usual_wait_p95"], plain.usual_wait_p95(db))
        compare_hours(db)
        assert rounded(overview.quarters(db)) == rounded(plain.quarters(db))
        assert by_type(overview.health(db)) == by_type(plain.health(db))


def compare_hours(db: Connection) -> None:
    found, expected = list(overview.hours(db)), list(plain.hours(db))
    for row, truth in zip(found, expected, strict=True):
        assert close(row.pop("wait_p95"), truth.pop("wait_p95")), row
    assert rounded(found) == rounded(expected)


def by_type(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    return {(row["job_type"], row["status"]): row for row in rounded(rows)}


def test_the_state_has_the_fields_that_its_type_names(db: Connection) -> None:
    now = overview.now(db)
    assert now.keys() == QueueState.__annotations__.keys()
    assert now["rules"]["failure_rate"].keys() == RuleLimit.__annotations__.keys()


def test_says_what_the_rows_say(filled: Connection) -> None:
    compare(filled)
    now = overview.now(filled)
    assert (now["pending"], now["processing"], now["stuck"]) == (60, 5, 4)
    assert now["usual_completed"] > 5


def test_counts_jobs_that_came_back_were_cancelled_or_purged_at_once(filled: Connection) -> None:
    recent = (
        "array(select id from job_queue where status = '{}' order by completed_at desc limit 9)"
    )
    filled.execute(f"select retry_jobs('operator', {recent.format('failed')})".encode())
    filled.execute(f"select cancel_jobs('operator', {recent.format('pending')})".encode())
    filled.execute("insert into purged_jobs select * from job_queue")
    filled.execute("select refresh_rollup()")
    purge = "select purged from purge_finished_jobs('operator', interval '100 hours', 10000)"
    assert filled.execute(purge).fetchone()["purged"] > 100  # type: ignore[index]
    plain.drop_kept(filled)
    with filled.transaction():
        compare_hours(filled)
        assert by_type(overview.health(filled)) == by_type(plain.health(filled))
    filled.execute("select rebuild_rollup()")
    compare(filled)


def test_finds_the_last_completion_of_long_ago(db: Connection) -> None:
    plain.fill(db, quiet=True)
    plain.keep_purged(db)
    db.execute("truncate purged_jobs")
    plain.all_jobs(db)
    db.execute("select rebuild_rollup()")
    now = overview.now(db)
    assert (now["last_hour_completed"], now["wait_p95"]) == (0, None)
    assert now["last_completion_seconds"] > 7200
    compare(db)


def test_usual_is_the_mean_of_the_days_there_are(db: Connection) -> None:
    # As many in both clock hours that the last hour touches, so that their shares do not matter.
    insert = """insert into job_queue (job_type, status, started_at, completed_at, created_at)
        select 'a', 'completed', at, at, at
        from generate_series(1, %s::int), generate_series(0, 1) hour, lateral (
            select date_trunc('hour', now(), 'UTC') - hour * interval '1 hour' - %s::interval as at
        ) times"""
    db.execute(insert, [30, "0 hours"])
    db.execute("select rebuild_rollup()")
    assert overview.now(db)["usual_completed"] is None
    db.execute(insert, [10, "24 hours"])
    db.execute(insert, [20, "48 hours"])
    db.execute(insert, [1, "50 hours"])
    db.execute("select rebuild_rollup()")
    assert overview.now(db)["usual_completed"] == pytest.approx(15)


def test_nothing_at_all(db: Connection) -> None:
    now = overview.now(db)
    alerting = {"rules", "alerts", "worker_seen_seconds"}
    numbers = {
        name: value
        for name, value in now.items()
        if value not in (None, []) and name not in alerting
    }
    assert set(numbers.values()) == {0}
    hours, quarters = list(overview.hours(db)), list(overview.quarters(db))
    assert (len(hours), len(quarters)) == (24, 96)
    assert {(row["pending"], row["completed"]) for row in hours} == {(None, 0)}
    assert {(row["depth"], row["arrived"], row["failed"]) for row in quarters} == {(None, 0, 0)}
    assert list(overview.events(db, length=timedelta(days=1))) == []
    for query in (overview.failures, overview.running, overview.images):
        assert list(query(db)) == []
    assert list(overview.health(db)) == []
    assert [condition.name for condition in verdict(now).conditions] == ["no_worker"]


def test_types_that_no_worker_runs(db: Connection) -> None:
    def unhandled() -> dict[str, int]:
        return {found["job_type"]: found["due"] for found in overview.now(db)["unhandled"]}

    for job_type, jobs in (("generate-image", 1), ("upscale", 2), ("paused", 1)):
        db.execute("select enqueue_job(%s, '{}') from generate_series(1, %s)", [job_type, jobs])
    db.execute("select enqueue_job('later', '{}', 0, now() + interval '1 hour')")
    db.execute("select pause_queue('me', 'paused')")
    assert unhandled() == {}, "without a worker that alone is said"
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) values (gen_random_uuid(), 'worker', 'h', 1, now(), '1',"
        " '{generate-image}', 1)"
    )
    assert unhandled() == {"upscale": 2}
    assert [condition.name for condition in verdict(overview.now(db)).conditions] == [
        "unhandled_types",
        "paused",
    ]
    db.execute("update workers set job_types = '{generate-image,upscale}'")
    assert unhandled() == {}


def test_an_old_job_that_nobody_runs_does_not_hide_that_others_wait(db: Connection) -> None:
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) values (gen_random_uuid(), 'worker', 'h', 1, now(), '1',"
        " '{generate-image}', 1)"
    )
    enqueue = "select enqueue_job(%s, '{}', 0, now() - %s::interval)"
    db.execute(enqueue, ["download-image", "3 days"])
    db.execute(enqueue, ["generate-image", "1 hour"])
    now = overview.now(db)
    assert [(found["job_type"], found["expected"]) for found in now["unhandled"]] == [
        ("download-image", False)
    ]
    assert (now["due"], round(now["oldest_due_seconds"])) == (1, 3600)
    assert "waits_too_long" in [condition.name for condition in verdict(now).conditions]


def test_the_verdict_and_the_alerts_go_by_the_same_limits(db: Connection) -> None:
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) values (gen_random_uuid(), 'worker', 'h', 1, now(), '1', '{}', 1)"
    )
    db.execute("select set_alert_rule('me', 'stuck_jobs', true, 'critical', 3, 1, 0, null)")

    def stuck(jobs: int) -> tuple[list[str], int]:
        db.execute("delete from job_queue")
        db.execute(
            "insert into job_queue (job_type, status, started_at)"
            " select 'a', 'processing', now() - interval '1 hour' from generate_series(1, %s)",
            (jobs,),
        )
        db.execute("select evaluate_alerts()")
        alerts = db.execute("select from alerts where resolved_at is null").fetchall()
        return [found.name for found in verdict(overview.now(db)).conditions], len(alerts)

    # Fires above 3 and is over at 1: in between it depends on what was before.
    assert stuck(3) == ([], 0)
    assert stuck(4) == (["stuck"], 1)
    assert stuck(2) == (["stuck"], 1)
    assert stuck(1) == ([], 0)
    assert stuck(2) == ([], 0)


def test_jobs_that_are_held_back_are_not_due(db: Connection) -> None:
    db.execute(
        "insert into job_queue (job_type, scheduled_at)"
        " values ('a', now() - interval '1 hour'), ('b', now() - interval '1 minute'),"
        " ('b', now() + interval '1 hour'), ('generate-image', now() - interval '2 hours')"
    )
    for _ in range(5):
        db.execute("select record_provider_failure('replicate', 'It fell over.')")
    db.execute("select pause_queue('operator', 'a', 'a rest')")
    now = overview.now(db)
    assert (now["pending"], now["due"]) == (4, 1)
    assert (round(now["oldest_due_seconds"]), round(now["oldest_pending_seconds"])) == (60, 7200)
    [paused], [down] = now["paused"], now["down"]
    assert (paused["job_type"], paused["by"], paused["reason"]) == ("a", "operator", "a rest")
    assert (down["provider"], down["reason"]) == ("replicate", "It fell over.")
    db.execute("select pause_queue('operator', '*', null)")
    now = overview.now(db)
    assert (now["due"], now["oldest_due_seconds"]) == (0, None)
    assert [condition.name for condition in verdict(now).conditions] == [
        "provider_down", "no_worker", "paused",
    ]  # fmt: skip


def test_jobs_of_a_rate_limited_model_are_told_apart(db: Connection) -> None:
    db.execute(
        "insert into job_queue (job_type, payload, scheduled_at)"
        " select 'a', jsonb_build_object('model_id', model), now() - due::interval"
        " from (values ('m', '1 hour'), ('m', '2 hours'), ('m', '-1 hour'), ('n', '1 minute'))"
        " as j (model, due)"
    )
    db.execute(
        "insert into model_holds (model_id, held_until) values ('m', now() + interval '9 s')"
    )
    now = overview.now(db)
    assert (now["pending"], now["due"], now["rate_limited"]) == (4, 1, 2)
    seconds = now["oldest_due_seconds"], now["oldest_rate_limited_seconds"]
    assert [round(each) for each in seconds] == [60, 7200]
    assert metrics.state(db)["oldest_due_seconds"] == pytest.approx(60, abs=5)
    db.execute("select pause_queue('operator', 'a')")
    now = overview.now(db)
    assert (now["due"], now["rate_limited"]) == (0, 0)


def test_the_type_with_the_most_jobs_stands_first(db: Connection) -> None:
    db.execute(
        "insert into job_queue (job_type) select case when n = 1 then 'a' else 'b' end"
        " from generate_series(1, 3) n"
    )
    assert [row["job_type"] for row in overview.health(db)] == ["b", "a"]
