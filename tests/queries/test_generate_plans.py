"""The page Generate reads what belongs to a run, however much history there is beside it."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lib.database import load
from lib.database.pool import Connection

plans = load("plans", Path(__file__).parents[1] / "rollup")
RUN = UUID(int=3)
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("run", {"run": RUN}),
    ("jobs", {"run": RUN}),
    ("history", {"most": 20, "skip": 0}),
    ("run_count", {}),
    ("usual", {}),
    ("models", {}),
]


@pytest.fixture
def filled(db: Connection) -> Connection:
    """A queue with a history and five test runs of 20 jobs, not analyzed yet."""
    plans.fill(db)
    db.execute(
        "insert into image_generations (prompt, model_id, created_at)"
        " select 'fox', 'm', now() - n * interval '1 minute' from generate_series(1, 12000) n"
    )
    db.execute("analyze image_generations")
    db.execute("select rebuild_rollup()")
    for number in range(5):
        db.execute(
            "insert into test_runs (id, actor, prompt, models, jobs)"
            " values (%s, 'me', 'fox', '{m}', 20)",
            (UUID(int=number),),
        )
        db.execute(
            "select start_test_generations(%s, 'fox', %s, p_jobs => 20)",
            (UUID(int=number), "black-forest-labs/flux-schnell"),
        )
    return db


def scans(db: Connection) -> int:
    plans.flush(db)
    row = db.execute(
        "select sum(seq_scan)::int as scans from pg_stat_user_tables"
        " where relname in ('job_queue', 'image_generations')"
    ).fetchone()
    return int(row["scans"])


@pytest.mark.parametrize("analyzed", [False, True])
def test_no_query_reads_the_history(filled: Connection, analyzed: bool) -> None:
    if analyzed:
        filled.execute("analyze")
    generate = load("generate")
    found = {}
    for name, parameters in CALLS:
        before = scans(filled)
        getattr(generate, name)(filled, **parameters)
        found[name] = scans(filled) - before
    assert found == dict.fromkeys(found, 0)
