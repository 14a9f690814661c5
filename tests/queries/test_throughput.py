"""The throughput page says what plain SQL says of all jobs that ever were."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stages import close, stages

from lib.database import load
from lib.database.pool import Connection

throughput = load("throughput")
plain = load("throughput", Path(__file__).parent)

HOUR = timedelta(hours=1)
STEP = {"minute": timedelta(minutes=1), "hour": HOUR, "day": timedelta(days=1)}
GROUPS = ["status", "type", "model"]


def now(db: Connection) -> datetime:
    """The transaction's time."""
    return db.execute("select now() as at").fetchone()["at"]


def spans(db: Connection) -> list[tuple[str, dict[str, Any]]]:
    """Times that a page asks for: ending now, in the past, and across what is purged."""
    at = now(db)
    return [
        ("hour", {"start": None, "length": 30 * HOUR}),
        ("day", {"start": None, "length": 30 * 24 * HOUR}),
        ("hour", {"start": at - 70 * HOUR, "length": 33.3 * HOUR}),
        ("day", {"start": at - 80 * HOUR, "length": 40 * HOUR}),
    ]


def whole(db: Connection, bucket: str, start: datetime | None, length: timedelta) -> dict[str, Any]:
    """A time rounded outwards to whole buckets of UTC, though not past now."""
    at = now(db).astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=60)
    first = start or at - length
    last = first + length if start else at
    steps = (first - midnight) // STEP[bucket], -((midnight - last) // STEP[bucket])
    since, until = (midnight + steps[0] * STEP[bucket], midnight + steps[1] * STEP[bucket])
    return {"since": since, "until": min(until, at)}


@pytest.mark.parametrize("by", GROUPS)
def test_ended(db: Connection, by: str) -> None:
    for stage in stages(db):
        with db.transaction():
            for bucket, span in spans(db):
                found = throughput.ended(db, by=by, bucket=bucket, **span)
                expected = plain.ended(db, by=by, bucket=bucket, **whole(db, bucket, **span))
                assert unordered(found) == unordered(expected), (stage, bucket, span)
                assert sum(row["jobs"] for row in found) > 100


def unordered(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    found = {(row["at"], row["name"], row["jobs"]) for row in rows}
    assert len(found) == len(rows)
    return found


def test_the_most_common_groups_come_first_and_the_rest_last(db: Connection) -> None:
    next(stages(db))
    rows = throughput.ended(db, by="model", bucket="day", start=None, length=10 * 24 * HOUR)
    names = list(dict.fromkeys(row["name"] for row in rows))
    jobs = [sum(row["jobs"] for row in rows if row["name"] == name) for name in names]
    assert len(names) == 9
    assert names[-1] is None
    assert jobs[:-1] == sorted(jobs[:-1], reverse=True)


def test_times(db: Connection) -> None:
    for stage in stages(db):
        with db.transaction():
            for bucket, span in spans(db):
                rows = throughput.times(db, bucket=bucket, **span)
                when = whole(db, bucket, **span)
                expected = {row["at"]: row for row in plain.times(db, bucket=bucket, **when)}
                assert [row["at"] for row in rows] == list(steps(bucket, **when))
                for row in rows:
                    compare_times(row, expected.get(row["at"]), stage)


def compare_times(row: dict[str, Any], truth: dict[str, Any] | None, stage: str) -> None:
    for what in ("run", "wait"):
        exact = (truth and truth[what]) or [None] * 3
        for share, value in zip(("p50", "p95", "p99"), exact, strict=True):
            assert close(row[f"{what}_{share}"], value), (stage, what, share, row, value)


def steps(bucket: str, since: datetime, until: datetime) -> list[datetime]:
    return [since + n * STEP[bucket] for n in range(1000) if since + n * STEP[bucket] < until]


def test_flow(db: Connection) -> None:
    plain.fill_samples(db)
    for stage in stages(db):
        with db.transaction():
            for bucket, span in spans(db):
                rows = throughput.flow(db, bucket=bucket, **span)
                when = whole(db, bucket, **span)
                if span["start"] is None:
                    compare_queue(db, rows.pop(), now(db))
                assert [row["at"] for row in rows] == steps(bucket, **when)
                for row in rows:
                    compare_flow(db, row, STEP[bucket], stage)


def compare_queue(db: Connection, row: dict[str, Any], at: datetime) -> None:
    assert (row["at"], row["arrivals"], row["ends"]) == (at, None, None)
    assert row["queue"] == plain.live(db)


def compare_flow(db: Connection, row: dict[str, Any], step: timedelta, stage: str) -> None:
    """Checks a row, and of longer steps each hour in it."""
    length = min(step, HOUR)
    until = min(row["at"] + step, now(db))
    parts = [
        plain.flow(db, since=at, until=at + length)
        for n in range(step // length)
        if (at := row["at"] + n * length) < until
    ]
    expected = {
        "arrivals": sum(part["arrivals"] for part in parts),
        "ends": sum(part["ends"] for part in parts),
        "queue": max((part["queue"] for part in parts if part["queue"] is not None), default=None),
    }
    assert {name: row[name] for name in expected} == expected, (stage, row["at"])
    assert row.get("busiest", 0) in (0, max(part["arrivals"] for part in parts))


def test_minutes(db: Connection) -> None:
    plain.fill_samples(db)
    for stage in stages(db):
        with db.transaction():
            span = {"start": None, "length": 6 * HOUR}
            when = whole(db, "minute", **span)
            for by in GROUPS:
                found = throughput.ended_by_minute(db, by=by, **span)
                assert unordered(found) == unordered(
                    plain.ended(db, by=by, bucket="minute", **when)
                )
            rows = throughput.flow_by_minute(db, length=6 * HOUR)
            compare_queue(db, rows.pop(), now(db))
            assert [row["at"] for row in rows] == steps("minute", **when)
            for row in rows[::20]:
                compare_flow(db, row, STEP["minute"], stage)


def test_minutes_of_the_past_are_exact(db: Connection) -> None:
    for stage in stages(db):
        if stage == "purged":
            break
        with db.transaction():
            span = {"start": now(db) - 70.5 * HOUR, "length": HOUR}
            when = whole(db, "minute", **span)
            rows = throughput.times_by_minute(db, **span)
            expected = {row["at"]: row for row in plain.times(db, bucket="minute", **when)}
            assert [row["at"] for row in rows] == steps("minute", **when)
            for row in rows:
                truth = expected.get(row["at"], {"run": None, "wait": None})
                assert [row["run_p50"], row["run_p95"], row["run_p99"]] == (
                    truth["run"] or [None] * 3
                )
                assert [row["wait_p50"], row["wait_p95"], row["wait_p99"]] == (
                    truth["wait"] or [None] * 3
                )
            assert throughput.purged(db, **span) == 0


def test_purged_jobs_are_counted_for_a_time_that_lacks_them(db: Connection) -> None:
    for _ in stages(db):
        pass
    with db.transaction():
        span = {"start": now(db) - 70.5 * HOUR, "length": 3 * HOUR}
        ended = plain.ended(db, by="status", bucket="hour", **whole(db, "hour", **span))
        assert throughput.purged(db, **span) == sum(row["jobs"] for row in ended) > 0


def test_pace(db: Connection) -> None:
    for stage in stages(db):
        with db.transaction():
            expected = plain.pace(db)
            found = throughput.pace(db)
            assert {name: found[name] for name in expected} == pytest.approx(expected), stage
            assert (found["workers"], found["slots"]) == (0, 0)


@pytest.mark.parametrize("bucket", ["hour", "day"])
def test_without_any_job(db: Connection, bucket: str) -> None:
    span = {"start": None, "length": 24 * HOUR, "bucket": bucket}
    assert throughput.ended(db, by="model", **span) == []
    for row in throughput.times(db, **span):
        assert [value for name, value in row.items() if name != "at"] == [None] * 6
    assert {row["queue"] for row in throughput.flow(db, **span)} == {None, 0}
    assert throughput.ended_by_minute(db, by="status", start=None, length=HOUR) == []
    assert {row["queue"] for row in throughput.flow_by_minute(db, length=HOUR)} == {None, 0}
    pace = throughput.pace(db)
    assert (pace["due"], pace["arrived"], pace["run_seconds"], pace["attempts"]) == (
        0,
        0,
        None,
        None,
    )


def test_a_time_that_has_not_begun_is_empty(db: Connection) -> None:
    span = {"start": datetime.now(UTC) + timedelta(days=3), "length": HOUR}
    for bucket in ("hour", "day"):
        assert throughput.flow(db, bucket=bucket, **span) == []
        assert throughput.times(db, bucket=bucket, **span) == []
        assert throughput.ended(db, by="status", bucket=bucket, **span) == []
    assert throughput.ended_by_minute(db, by="status", **span) == []
    assert throughput.times_by_minute(db, **span) == []
