"""The queries of the stuck view: filters, and pages that follow each other."""

from uuid import UUID

import pytest

from lib.database import load
from lib.database.pool import Connection

queries = load("jobs")
FIRST = {"after": "-infinity", "after_id": UUID(int=0)}
ALL = {"model_id": None, "job_type": None}


@pytest.fixture
def stuck(db: Connection) -> Connection:
    """Twelve stuck jobs of two types and three models (one unnamed), several silent as long."""
    db.execute(
        "insert into job_queue (job_type, payload, status, attempts, started_at)"
        " select case when n <= 4 then 'a' else 'b' end,"
        " case n %% 3 when 0 then '{}' else jsonb_build_object('model_id', 'm' || n %% 3) end,"
        " 'processing', 1, date_trunc('hour', now()) - (n / 4 + 1) * interval '1 hour'"
        " from generate_series(1, 12) n",
        [],
    )
    return db


def test_pages_follow_each_other_without_gap_or_repetition(stuck):
    whole = queries.stuck(stuck, **ALL, **FIRST, most=100)
    assert len({row["id"] for row in whole}) == 12
    assert [row["last_heartbeat_at"] for row in whole] == sorted(
        row["last_heartbeat_at"] for row in whole
    )
    found, place = [], FIRST
    while rows := queries.stuck(stuck, **ALL, **place, most=5):
        assert rows[0]["total"] == 12
        found += [row["id"] for row in rows]
        place = {"after": rows[-1]["last_heartbeat_at"], "after_id": rows[-1]["id"]}
    assert found == [row["id"] for row in whole]


def test_filters_by_model_and_type_say_how_many_there_are(stuck):
    counted = 0
    for job_type in ("a", "b"):
        for model_id in ("", "m1", "m2"):
            kind = {"model_id": model_id, "job_type": job_type}
            rows = queries.stuck(stuck, **kind, **FIRST, most=1)
            counted += rows[0]["total"]
            assert rows[0]["job_type"] == job_type
            assert (rows[0]["model_id"] or "") == model_id
    assert counted == 12
    assert queries.stuck(stuck, model_id="x", job_type=None, **FIRST, most=1) == []


def test_without_stuck_jobs_the_list_is_empty(db):
    assert queries.stuck(db, **ALL, **FIRST, most=1) == []
