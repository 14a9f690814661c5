"""The view of duplicates finds every generation that had several jobs in a time."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from lib.database import load
from lib.database.pool import Connection

queries = load("jobs")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVER = {"start": NOW - 100 * HOUR, "length": 200 * HOUR, "most": 1000}


def add(db: Connection, generation: str | None, status: str, created: timedelta) -> UUID:
    """The id of a job that was created so long before NOW and ended a minute later."""
    ended = status in ("completed", "failed", "cancelled")
    return db.execute(
        "insert into job_queue (job_type, payload, status, created_at, completed_at)"
        " values ('a', %s, %s, %s, %s) returning id",
        [
            json.dumps({"generation_id": generation} if generation else {}),
            status,
            NOW - created,
            NOW - created + timedelta(minutes=1) if ended else None,
        ],
    ).fetchone()["id"]


def generation(number: int) -> str:
    return str(UUID(int=0xA000 + number))


def test_the_jobs_of_a_generation_stand_together_the_oldest_first(db):
    old = [add(db, generation(1), "failed", 9 * HOUR), add(db, generation(1), "failed", 8 * HOUR)]
    new = [
        add(db, generation(2).upper(), "completed", 3 * HOUR),
        add(db, generation(2), "cancelled", 2 * HOUR),
        add(db, generation(2), "pending", HOUR),
    ]
    for status in ("completed", "pending", "processing"):
        add(db, None, status, HOUR)
        add(db, generation(3 + len(status)), status, HOUR)
    found = queries.repeated(db, **EVER)
    assert [row["id"] for row in found] == new + old
    assert [row["place"] for row in found] == [1, 2, 3, 1, 2]
    assert [row["jobs"] for row in found] == [3, 3, 3, 2, 2]
    assert [row["seconds_later"] for row in found] == [0, 3600, 7200, 0, 3600]
    assert {(row["generations"], row["total"]) for row in found} == {(2, 5)}
    assert [row["id"] for row in queries.repeated(db, **EVER | {"most": 2})] == new[:2]


def test_a_job_that_ended_outside_the_time_is_not_compared(db):
    add(db, generation(1), "completed", 9 * HOUR)
    second = add(db, generation(1), "failed", 5 * HOUR)
    live = add(db, generation(1), "pending", HOUR)
    narrow = queries.repeated(db, start=NOW - 6 * HOUR, length=6 * HOUR, most=9)
    assert [row["id"] for row in narrow] == [second, live]
    assert queries.repeated(db, start=NOW - 2 * HOUR, length=2 * HOUR, most=9) == []
    assert len(queries.repeated(db, **EVER)) == 3


def test_a_length_counts_back_from_now(db):
    for hours in (1, 2, 30):
        db.execute(
            "insert into job_queue (job_type, payload, status, completed_at)"
            " values ('a', %s, 'completed', now() - %s)",
            [json.dumps({"generation_id": generation(1)}), hours * HOUR],
        )
    assert len(queries.repeated(db, start=None, length=24 * HOUR, most=9)) == 2


def test_random_jobs_give_what_plain_sql_gives(db):
    db.execute("select setseed(0.3)")
    db.execute(
        "insert into job_queue (job_type, payload, status, created_at, completed_at)"
        " select 'a', jsonb_build_object('generation_id', md5(floor(random() * 250)::text)::uuid),"
        " (array['completed', 'failed', 'cancelled'])[ceil(random() * 3)], %s, %s"
        " from generate_series(1, 300)",
        [NOW - 2 * HOUR, NOW - HOUR],
    )
    plain = db.execute(
        "select id from (select id, count(*) over (partition by payload ->> 'generation_id')"
        " from job_queue) q where count > 1"
    ).fetchall()
    found = queries.repeated(db, **EVER)
    assert {row["id"] for row in found} == {row["id"] for row in plain}
    assert len(found) > 100


@pytest.mark.parametrize("query", ["duplicates", "repeated"])
def test_an_empty_queue_has_none(db, query):
    assert getattr(queries, query)(db, **EVER) == []


def test_waiting_jobs_that_nobody_needs_are_listed_with_the_reason(db):
    db.execute(
        "insert into image_generations (id, prompt, model_id, status) values (%s, 'p', 'm', %s)",
        [generation(1), "completed"],
    )
    done = add(db, generation(1), "pending", HOUR)
    kept, second = add(db, "no uuid", "pending", HOUR), add(db, "No UUID", "pending", 0 * HOUR)
    rows = queries.duplicates(db)
    assert [(row["id"], row["kept_id"], row["reason"]) for row in rows] == [
        (done, None, "its image already exists"),
        (second, str(kept), "an older job of the same generation is pending or running"),
    ]
    assert {row["total"] for row in rows} == {2}
