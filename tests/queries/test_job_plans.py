"""The pages of jobs and users and the search read neither jobs nor generations from end to end."""

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
    ("job", "operators", {"id": str(USER), "created_at": datetime(2026, 1, 1, tzinfo=UTC)}),
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
