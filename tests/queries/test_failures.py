"""The failures page's queries say what plain SQL says of all jobs there ever were."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lib.database import load
from lib.database.pool import Connection

failures = load("failures")
NEWEST = {"before": "infinity", "before_id": UUID(int=2**128 - 1), "most": 1000}
HOUR = timedelta(hours=1)
ERRORS = [
    ("provider_error", "Replicate returned HTTP {n} for model {m}: Bad Gateway"),
    ("prediction_failed", "{m} failed: Tried to allocate {n} MiB"),
    ("prediction_failed", "prediction {id} at https://example.com/{id} failed"),
    (None, "no code, no number"),
    ("internal", None),
]
PLAIN_GROUPS = """
select
    coalesce(error_group(error_message, model_id), '') as error_group,
    coalesce(error_details ->> 'code', '') as error_code,
    count(*) as jobs,
    min(completed_at) as first_at,
    max(completed_at) as last_at,
    array_agg(distinct model_id order by model_id) as models,
    count(distinct created_by) as users
from (select * from job_queue union all select * from purged) q
cross join lateral (select coalesce(payload ->> 'model_id', '') as model_id) m
where status = 'failed' and completed_at >= %s and completed_at < %s
group by 1, 2
order by count(*) desc, max(completed_at) desc, 1
"""


@pytest.fixture(params=range(3))
def history(request: pytest.FixtureRequest, db: Connection) -> Iterator[Connection]:
    """Failed, retried, cancelled, failed again and purged jobs of two weeks, most of it folded."""
    draw = random.Random(request.param)
    now = datetime.now(UTC)
    for _ in range(400):
        code, error = draw.choice(ERRORS)
        model = draw.choice(["a/b", "a/b-2", "<i>", None])
        message = error and error.format(m=model, n=draw.randrange(999), id=draw.randbytes(8).hex())
        at = now - draw.choice([HOUR, timedelta(days=1), timedelta(days=14)]) * draw.random()
        payload = {"prompt": "p"} | ({"model_id": model} if model else {})
        db.execute(
            "insert into job_queue (job_type, payload, status, attempts, started_at, completed_at,"
            " error_message, error_details, created_by)"
            " values ('a', %s, %s, 1, %s, %s, %s, %s, %s)",
            [
                json.dumps(payload),
                draw.choice(["failed", "failed", "failed", "completed"]),
                at - HOUR,
                at,
                message,
                json.dumps(details(code, message)) if draw.random() < 0.9 else None,
                UUID(int=draw.randrange(20)),
            ],
        )
    db.execute("select rebuild_rollup()")
    db.execute("select refresh_rollup()")
    retried = ids(db, "select id from job_queue where status = 'failed' order by id limit 40")
    db.execute("select retry_jobs('operator', %s)", [retried])
    db.execute("update job_queue set scheduled_at = now() where status = 'pending'")
    db.execute("select cancel_jobs('operator', %s)", [retried[:5]])
    for job in ids(db, "select id from claim_jobs(20)"):
        db.execute(
            "select complete_job(%s, false, 'failed again with 502', %s)",
            [job, json.dumps({"code": "provider_error", "permanent": True})],
        )
    db.execute("create table purged as select * from job_queue")
    db.execute("select purge_finished_jobs('operator', interval '10 days', 30)")
    db.execute("delete from purged where id in (select id from job_queue)")
    with db.transaction():
        yield db


def details(code: str | None, message: str | None) -> dict[str, Any]:
    found = {"code": code} if code else {}
    return found | {"attempts": [{"attempt": 1, "error": message, "details": found}]}


def ids(db: Connection, statement: str) -> list[UUID]:
    return [row["id"] for row in db.execute(statement.encode())]


def spans(now: datetime) -> list[dict[str, Any]]:
    since = [timedelta(minutes=30), HOUR * 5, timedelta(days=3), timedelta(days=9)]
    return [{"start": now - 2 * length, "length": length} for length in since] + [
        {"start": None, "length": length} for length in (HOUR, timedelta(days=1), *since[2:])
    ]


def test_kinds_equal_a_plain_count_of_failed_and_purged_jobs(history):
    # One transaction, so that now() is one moment.
    with history.transaction():
        now = history.execute("select now() as now").fetchone()["now"]
        for span in spans(now):
            since = span["start"] or hour(now - span["length"])
            until = span["start"] + span["length"] if span["start"] else now
            plain = history.execute(PLAIN_GROUPS, [since, until]).fetchall()
            found = failures.groups(history, **span)
            assert [{name: row[name] for name in plain[0]} for row in found] == plain
            assert {row["total"] for row in found} == {sum(row["jobs"] for row in plain)}
            assert {row["kinds"] for row in found} == {len(plain)}
            for row in found:
                assert row["trend"] == plain_trend(history, row, since, until, span["length"])


def hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def plain_trend(
    db: Connection, kind: dict, since: datetime, until: datetime, length: timedelta
) -> list[int]:
    """Jobs of the kind in each hour or day from its trend's beginning to the end."""
    step = "hour" if length <= timedelta(days=7) else "day"
    first = min(since, hour(until - timedelta(days=1)))
    rows = db.execute(
        "select (select count(*) from (select * from job_queue union all table purged) q"
        "  where status = 'failed' and completed_at >= greatest(at, %s)"
        "  and completed_at < least(at + ('1 ' || %s)::interval, %s)"
        "  and coalesce(error_group(error_message, coalesce(payload ->> 'model_id', '')), '') = %s"
        "  and coalesce(error_details ->> 'code', '') = %s) as jobs"
        " from generate_series(date_trunc(%s, %s, 'UTC'), %s, ('1 ' || %s)::interval) at",
        [first, step, until, kind["error_group"], kind["error_code"], step, first, until, step],
    )
    return [row["jobs"] for row in rows]


def test_the_jobs_of_a_kind_are_found_by_its_key(history):
    span = {"start": None, "length": timedelta(days=20)}
    everything = failures.failed(history, **span, key=None, **NEWEST)
    failed = ids(
        history, "select id from job_queue where status = 'failed' order by completed_at desc, id"
    )
    assert {row["id"] for row in everything} == set(failed)
    for kind in failures.groups(history, **span):
        found = failures.failed(history, **span, key=kind["key"], **NEWEST)
        assert found == [
            row
            for row in everything
            if (row["error_code"] or "") == kind["error_code"]
            and group_of(history, row) == kind["error_group"]
        ]
        listed = failures.failed_ids(history, **span, key=kind["key"], most=1000)
        assert {row["id"] for row in found} == {row["id"] for row in listed}
        assert failures.failed_ids(history, **span, key=kind["key"], most=2) == listed[:2]
        assert found[-1]["id"] == listed[0]["id"]


def group_of(db: Connection, row: dict[str, Any]) -> str:
    statement = "select error_group(%s, %s) as found"
    asked = [row["error_message"], row["model_id"] or ""]
    return db.execute(statement, asked).fetchone()["found"] or ""


def test_pages_of_failed_jobs_follow_each_other_without_gap_or_repetition(history):
    # Several failed at the same moment.
    history.execute(
        "update job_queue set completed_at = date_trunc('hour', completed_at)"
        " where status = 'failed'"
    )
    span = {"start": None, "length": timedelta(days=20), "key": None}
    whole = failures.failed(history, **span, **NEWEST)
    pages, place = [], NEWEST | {"most": 7}
    while rows := failures.failed(history, **span, **place):
        pages += rows
        place |= {"before": rows[-1]["completed_at"], "before_id": rows[-1]["id"]}
    assert pages == whole


def test_live_jobs_with_an_error_are_found_by_any_of_their_attempts(history):
    pending = "select id from job_queue where status = 'pending' and error_details is not null"
    waiting = ids(history, pending)
    assert {row["id"] for row in failures.tried_again(history, key=None, most=200)} == set(waiting)
    found: list[UUID] = []
    for kind in failures.groups(history, start=None, length=timedelta(days=20)):
        rows = failures.tried_again(history, key=kind["key"], most=200)
        assert {row["total"] for row in rows} <= {len(rows)}
        found += [row["id"] for row in rows]
    assert len(waiting) > 5
    assert set(found) <= set(waiting)
    assert failures.tried_again(history, key="0" * 12, most=200) == []
    assert len(failures.tried_again(history, key=None, most=3)) == 3


def test_a_job_that_failed_twice_is_found_by_either_error(db):
    job = db.execute("select enqueue_job('a', '{}') as id").fetchone()["id"]
    for error in ("first 1", "second 2"):
        db.execute("update job_queue set scheduled_at = now()")
        db.execute("select claim_next_job()")
        db.execute('select complete_job(%s, false, %s, \'{"code": "c"}\')', [job, error])
    for error in ("first <n>", "second <n>"):
        key = db.execute("select error_key(%s, 'c') as key", [error]).fetchone()["key"]
        [row] = failures.tried_again(db, key=key, most=200)
        assert (row["id"], row["error_message"], row["attempts"]) == (job, "second 2", 2)
        assert row["due_in_seconds"] > 0
    attempts = failures.attempts(db, job_id=job)
    assert [(row["attempt"], row["error"], row["code"]) for row in attempts] == [
        ("1", "first 1", "c"),
        ("2", "second 2", "c"),
    ]


@pytest.mark.parametrize(
    ("shape", "attempts"),
    [
        (None, 0),
        ("text", 0),
        (3, 0),
        ([1, 2], 0),
        ({}, 0),
        ({"attempts": "x"}, 0),
        ({"attempts": [7, {"at": [], "details": 1}, None]}, 3),
    ],
)
def test_error_details_of_other_workers_may_have_any_shape(db, shape, attempts):
    db.execute(
        "insert into job_queue (job_type, status, attempts, error_details, completed_at)"
        " values ('a', 'failed', 1, %s, now()), ('a', 'pending', 1, %s, null)",
        [json.dumps(shape)] * 2,
    )
    span = {"start": None, "length": HOUR}
    [kind] = failures.groups(db, **span)
    [row] = failures.failed(db, **span, key=kind["key"], **NEWEST)
    assert failures.job(db, job_id=row["id"])["payload"] == "{\n}"
    assert len(failures.attempts(db, job_id=row["id"])) == attempts
    assert len(failures.tried_again(db, key=None, most=9)) == (attempts > 0)
    assert load("fault_injection").errors(db) == [{"code": "", "waiting": 0, "failed": 1}]
    assert [kind["code"] for kind in load("troubleshooting").failures(db)] == [""]
    assert load("rollup").refresh_rollup(db, every_seconds=0) is False


def test_an_empty_queue_has_no_failures(db):
    span = {"start": None, "length": HOUR}
    assert failures.groups(db, **span) == []
    assert failures.failed(db, **span, key=None, **NEWEST) == []
    assert failures.tried_again(db, key=None, most=200) == []
    assert failures.job(db, job_id=UUID(int=1)) is None


def test_a_range_has_its_beginning_and_not_its_end(db):
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for hours in (0, 1):
        db.execute(
            "insert into job_queue (job_type, status, completed_at) values ('a', 'failed', %s)",
            [at + hours * HOUR],
        )
    [row] = failures.failed(db, start=at, length=HOUR, key=None, **NEWEST)
    assert row["completed_at"] == at
    assert failures.groups(db, start=at, length=HOUR)[0]["jobs"] == 1
