"""What pages show is what the SQL views and functions say, and a rule stands in one of them."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from stages import stages

from lib.database import load
from lib.database.migrations import MIGRATIONS
from lib.database.pool import Connection
from lib.database.queries import QUERIES

USER = UUID(int=1)
DAY = {"start": None, "length": timedelta(days=1)}
FIRST = {"after": "-infinity", "after_id": UUID(int=0)}
FROM = "now() - interval '1 day'"
# Of each query of the six pages its parameters, and where psql finds the same figures.
FIGURES: list[tuple[str, str, dict[str, Any], str]] = [
    ("overview", "now", {}, "queue_state"),
    ("overview", "hours", {}, "queue_hours"),
    ("overview", "quarters", {}, "queue_quarters"),
    ("overview", "health", {}, "queue_health_recent"),
    *(
        ("throughput", "ended", DAY | {"bucket": bucket, "by": by},
         f"throughput({FROM}, null, '{bucket}', '{by}')")
        for bucket in ("hour", "day") for by in ("status", "type", "model")
    ),
    ("throughput", "ended_by_minute", DAY | {"by": "model"},
     f"throughput({FROM}, null, 'minute', 'model')"),
    ("throughput", "times", DAY | {"bucket": "hour"}, "throughput_hourly"),
    ("throughput", "times", DAY | {"bucket": "day"}, f"job_times({FROM}, null, 'day')"),
    ("throughput", "times_by_minute", DAY, f"job_times({FROM}, null, 'minute')"),
    ("throughput", "flow", DAY | {"bucket": "hour"}, f"queue_lengths({FROM}, null, 'hour')"),
    ("throughput", "flow_by_minute", {"length": timedelta(days=1)},
     f"queue_lengths({FROM}, null, 'minute')"),
    ("throughput", "purged", DAY, f"purged_jobs({FROM}, null)"),
    ("throughput", "pace", {}, "queue_pace"),
    ("models", "models", DAY | {"bucket": "hour", "step": "hour", "most": 200}, "model_timings"),
    ("models", "distribution", DAY | {"bucket": "hour", "model": "m/1"},
     f"model_time_distribution({FROM}, null, 'hour', 'm/1')"),
    ("models", "trend", DAY | {"bucket": "hour", "step": "hour", "model": None},
     f"model_trend({FROM}, null)"),
    ("failures", "groups", DAY, "failure_groups"),
    ("failures", "unknown", {}, "unknown_outcomes"),
    ("jobs", "stuck", FIRST | {"model_id": None, "job_type": None, "most": 500},
     "stuck_jobs"),
    ("users", "most_active", DAY, "user_usage"),
    ("users", "user", {"user_id": USER}, f"user_standing('{USER}')"),
    ("users", "asked", DAY | {"user_id": USER, "bucket": "hour", "zone": "Asia/Kolkata"},
     f"user_requests('{USER}', {FROM}, null, 'hour', 'Asia/Kolkata')"),
]  # fmt: skip
PAGES = ("overview", "throughput", "models", "failures", "users")
# Lists and details of single jobs, choices of a page, and whom it greets.
MECHANICS = {
    ("failures", "failed"), ("failures", "failed_ids"), ("failures", "tried_again"),
    ("failures", "job"), ("failures", "attempts"), ("models", "compared"),
    ("models", "errors"), ("models", "images"), ("models", "settings"),
    ("users", "by_email"), ("users", "generations"),
    ("overview", "has_sample_data"), ("overview", "is_empty"), ("overview", "events"),
    ("overview", "failures"), ("overview", "running"), ("overview", "images"),
    ("users", "may_read_users"), ("users", "id_of_email"),
    ("users", "has_asked"), ("users", "emails"),
}  # fmt: skip
STORED = re.compile(r"public\.(job_queue|\w*rollup\w*|\w+_minutes|job_stats\w*|workers)\b")
LIVENESS = re.compile(
    r"last_seen_at\s*[<>]=?\s*(?:now|clock_timestamp)\(\) - interval '[12] minute"
)


@pytest.fixture
def filled(db: Connection) -> Connection:
    """A history with purged, failed and retried jobs, live and stuck ones, workers and users."""
    next(stages(db))
    db.execute("insert into auth.users (id) values (%s)", [USER])
    db.execute(
        "insert into image_generations (user_id, prompt, model_id, status, created_at)"
        " select %s, 'fox', 'm1', case n %% 3 when 0 then 'failed' else 'completed' end,"
        " now() - n * interval '1 hour' from generate_series(0, 30) n",
        [USER],
    )
    db.execute(
        "insert into job_queue (job_type, status, started_at, payload)"
        " values ('a', 'processing', now() - interval '1 hour', '{\"model_id\": \"m1\"}')"
    )
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) values (gen_random_uuid(), 'worker', 'h', 1, now(), '1', '{a}', 3)"
    )
    return db


def test_every_figure_of_the_pages_is_in_a_view_or_function(filled: Connection) -> None:
    with filled.transaction():
        for page, query, parameters, source in FIGURES:
            shown = getattr(load(page), query)(filled, **parameters)
            if isinstance(shown, dict):
                shown = [shown]
            elif isinstance(shown, int):
                shown = [{source.partition("(")[0]: shown}]
            public = filled.execute(b"select * from public." + source.encode()).fetchall()
            compare(list(shown), public, (page, query))


def compare(shown: list[dict[str, Any]], public: list[dict[str, Any]], what: object) -> None:
    """Each row shown is one of the public rows."""
    assert shown, what
    columns = shown[0].keys() & public[0].keys()
    if what == ("jobs", "stuck"):
        assert {"id", "attempts", "started_at", "last_heartbeat_at"} <= columns
    else:
        assert columns == shown[0].keys(), what
    assert len(shown) == len(public), what
    for row in shown:
        assert {column: row[column] for column in columns} in [
            {column: other[column] for column in columns} for other in public
        ], (what, row)


def test_no_query_of_the_pages_is_forgotten() -> None:
    named = {
        (page, name)
        for page in PAGES
        for name in re.findall(r"^-- name: (\w+)", (QUERIES / f"{page}.sql").read_text(), re.M)
    }
    shown = {(page, query) for page, query, _, _ in FIGURES if page in PAGES}
    assert named == shown | MECHANICS


def test_the_pages_compute_no_figure_themselves() -> None:
    for page, query, _, _ in FIGURES:
        sql = str(getattr(load(page), query).sql)
        if (page, query) != ("jobs", "stuck"):
            assert STORED.findall(sql) == [], (page, query)


def sql_files() -> list[Path]:
    return [*sorted(MIGRATIONS.glob("*.sql")), *sorted(QUERIES.glob("*.sql"))]


def test_whether_a_worker_is_alive_is_said_once() -> None:
    found = {file.name: LIVENESS.findall(file.read_text()) for file in sql_files()}
    views = next(MIGRATIONS.glob("*0800_views.sql")).name
    assert {name: len(lines) for name, lines in found.items() if lines} == {views: 2}


def test_when_a_job_is_stuck_is_said_once() -> None:
    queue = next(MIGRATIONS.glob("*_queue.sql")).name
    found = {
        file.name: len(re.findall(r"stuck_after\(\) returns", file.read_text()))
        for file in sql_files()
    }
    assert {name: times for name, times in found.items() if times} == {queue: 1}
    silent = re.compile(r"(?:heartbeat_at|sign_of_life|started_at)\s*<[^\n;]*interval '10 minutes'")
    assert [file.name for file in sql_files() if silent.search(file.read_text())] == []


def test_a_live_worker_sent_a_heartbeat_or_stands_for_cron(db: Connection) -> None:
    db.execute(
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency, last_seen_at, stopped_at)"
        " select gen_random_uuid(), kind, seconds || case when stopped then ' stopped' else '' end,"
        " 1, now(), '1', '{}', 1, now() - seconds * interval '1 second',"
        " case when stopped then now() end"
        " from unnest(array['worker', 'process-jobs', 'process-generation']) kind,"
        " unnest(array[50, 70, 130]) seconds, unnest(array[false, true]) stopped"
    )
    rows = db.execute("select kind, host, stands_for_cron from live_workers").fetchall()
    assert {(row["kind"], row["host"], row["stands_for_cron"]) for row in rows} == {
        ("worker", "50", False),
        ("process-generation", "50", False),
        ("process-jobs", "50", False),
        ("process-jobs", "50 stopped", True),
        ("process-jobs", "70", True),
        ("process-jobs", "70 stopped", True),
    }
