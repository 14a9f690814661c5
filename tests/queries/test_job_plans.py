"""The pages of jobs and users and the search read neither jobs nor generations from end to end."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lib.database import load
from lib.database.pool import Connection
from lib.queue import job_counts, job_list
from lib.queue.job_filters import STATUSES, Filters
from lib.ui.search import find

plans = load("plans", Path(__file__).parents[1] / "rollup")
USER = UUID(int=7)
DAY = {"start": None, "length": timedelta(days=1)}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("jobs", "by_id", {"low": UUID(int=0), "high": UUID(int=2**120)}),
    ("jobs", "kinds", {}),
    ("jobs", "images", {"generation_ids": [USER]}),
    ("jobs", "recent_resets", {}),
    ("job", "job", {"id": USER}),
    ("job", "attempts", {"id": USER}),
    ("job", "images", {"generation_id": USER}),
    ("job", "predictions", {"generation_id": USER}),
    ("job", "log", {"generation_id": USER}),
    ("job", "operators", {"id": str(USER)}),
    ("users", "most_active", DAY),
    ("users", "user", {"user_id": USER}),
    ("users", "generations", DAY | {"user_id": USER, "text": "fox", "most": 24}),
    ("users", "asked", DAY | {"user_id": USER, "bucket": "day", "zone": "UTC"}),
]
LISTS = [
    Filters(),
    *[Filters((status,)) for status in STATUSES],
    Filters(user_id=USER),
    Filters(user_id=USER, job_type="upscale"),
    Filters(model_id="m1"),
    Filters(error="memory"),
    Filters(path="prompt", value="*7*"),
    Filters(start=datetime(2026, 1, 1, tzinfo=UTC), length=timedelta(days=1)),
]
SEARCHES = [
    "00000000",
    "00000000-0000",
    str(USER),
    str(UUID(int=8)),
    "eve@studio.example",
    "fox",
    "no such host",
]


@pytest.fixture
def filled(db: Connection) -> Connection:
    """A queue that has a history, with generations, and is folded."""
    plans.fill(db)
    db.execute(
        "insert into image_generations (user_id, prompt, model_id, created_at)"
        " select null, 'fox', 'm', now() - n * interval '1 minute'"
        " from generate_series(1, 12000) n"
    )
    db.execute("analyze image_generations")
    db.execute("select rebuild_rollup()")
    return db


MOST_ROWS, MOST_MILLISECONDS = 100, 10
"""That showing one job may cost, in all its queries."""


@pytest.fixture
def busy(filled: Connection) -> Connection:
    """Besides the history: many pending jobs in many lines, workers, and a long audit log."""
    for statement in (
        "insert into job_queue (job_type, payload, scheduled_at) select 'generate-image',"
        " jsonb_build_object('model_id', 'm' || n %% 90), now() - interval '1 minute'"
        " from generate_series(1, 3000) n",
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency) select gen_random_uuid(), 'worker', 'box', n, now(), '1',"
        " '{generate-image}', 1 from generate_series(1, 4) n",
        "insert into audit_log (actor, action, affected, details) select 'Ada', 'retry_jobs', 1,"
        " jsonb_build_object('job_ids', jsonb_build_array(gen_random_uuid()))"
        " from generate_series(1, 5000)",
        "insert into job_leases (job_id, attempt, heartbeat_at)"
        " select id, attempts, now() from job_queue where status = 'processing'",
        # As after many attempts.
        "insert into predictions (provider, model_id, generation_id, input, log)"
        " select 'replicate', 'm', g.id, '{}', repeat('x', 16000)"
        " from (select id from image_generations limit 1) g, generate_series(1, 40)",
        "update job_queue set payload = payload || (select jsonb_build_object('generation_id', id)"
        " from image_generations limit 1), error_details = jsonb_build_object('attempts', ("
        "   select jsonb_agg(jsonb_build_object('attempt', n, 'error', repeat('x', 2000)))"
        "   from generate_series(1, 60) n))"
        " where id = (select id from job_queue where status = 'failed' limit 1)",
        "analyze",
    ):
        filled.execute(statement.encode(), [])
    return filled


def show_job(db: Connection, id: UUID) -> None:
    """Everything that the page Job reads, whatever tab is open."""
    queries = load("job")
    job = queries.job(db, id=id)
    if generation_id := job["generation_id"]:
        list(queries.images(db, generation_id=generation_id))
        list(queries.predictions(db, generation_id=generation_id))
        queries.log(db, generation_id=generation_id)
    list(queries.attempts(db, id=id))
    list(queries.operators(db, id=str(id)))


def rows_read(db: Connection) -> int:
    plans.flush(db)
    row = db.execute(
        "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read"
        " from pg_stat_user_tables"
    ).fetchone()
    assert row is not None
    return int(row["read"])


@pytest.mark.parametrize("status", [*STATUSES, "failed with 60 attempts"])
def test_one_job_costs_little(busy: Connection, status: str) -> None:
    row = busy.execute(
        # The last in line, and the one with most to tell.
        "select id from job_queue where status = %s"
        " order by (error_details is not null) = %s desc, scheduled_at desc limit 1",
        [status.split()[0], status.endswith("attempts")],
    ).fetchone()
    assert row is not None
    # More often than the five times after which a statement is prepared, by generic plan.
    took = []
    for _ in range(12):
        before = rows_read(busy)
        began = time.perf_counter()
        show_job(busy, row["id"])
        took.append((time.perf_counter() - began) * 1000)
        assert rows_read(busy) - before <= MOST_ROWS
    assert min(took) <= MOST_MILLISECONDS


def scans(db: Connection) -> int:
    plans.flush(db)
    row = db.execute(
        "select sum(seq_scan)::int as scans from pg_stat_user_tables"
        " where relname in ('job_queue', 'image_generations')"
    ).fetchone()
    assert row is not None
    return int(row["scans"])


def turn_pages(db: Connection, filters: Filters) -> None:
    def fetch(query: str, **parameters: Any) -> Any:
        return getattr(load("jobs"), query)(db, **parameters)

    page = job_list.first_page(fetch, filters)
    job_counts.counts(fetch, filters)
    job_list.matching(fetch, filters, 1_000)
    if page.after:
        page = job_list.page_after(fetch, filters, page.after)
    if page.before:
        job_list.page_before(fetch, filters, page.before)


def search(db: Connection, text: str) -> None:
    def ask(page: str, query: str, **parameters: Any) -> Any:
        return getattr(load(page), query)(db, **parameters)

    find(ask, text)


def test_no_sequential_scan(filled: Connection) -> None:
    found = {}
    for page, query, parameters in CALLS:
        before = scans(filled)
        # More often than the five times after which a plan no longer depends on its parameters.
        for _ in range(7):
            getattr(load(page), query)(filled, **parameters)
        found[f"{page}.{query}"] = scans(filled) - before
    for filters in LISTS:
        before = scans(filled)
        for _ in range(3):
            turn_pages(filled, filters)
        found[str(filters)] = scans(filled) - before
    for text in SEARCHES:
        before = scans(filled)
        for _ in range(7):
            search(filled, text)
        found[text] = scans(filled) - before
    assert {call: count for call, count in found.items() if count} == {}
    filled.execute("select count(*) from job_queue where payload is not null")
    assert scans(filled) == before + 1
