"""The models page says what plain SQL says of all jobs that ever were."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from stages import close, stages

from lib.database import load
from lib.database.pool import Connection

models = load("models")
plain = load("models", Path(__file__).parent)

HOUR = timedelta(hours=1)
SHARES = ("p50", "p95", "p99")
EXACT = [
    "model_id", "jobs", "completed", "failed", "refused", "usage", "run_total", "run_mean",
    "run_min", "run_max", "wait_mean", "wait_max",
]  # fmt: skip


def spans(db: Connection) -> list[dict[str, Any]]:
    """Times that the page asks for."""
    at = db.execute("select now() as at").fetchone()["at"]
    return [
        {"start": None, "length": 24 * HOUR, "bucket": "hour"},
        {"start": None, "length": 48 * HOUR, "bucket": "day"},
        {"start": at - 70 * HOUR, "length": 30 * HOUR, "bucket": "hour"},
    ]


def whole(db: Connection, span: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The time in whole buckets, and the one before."""
    at = models.compared(db, **span)
    assert at["since"] - at["before"] == span["length"]
    return (
        {"since": at["since"], "until": at["until"]},
        {"since": at["before"], "until": at["since"]},
    )


def compare_percentiles(row: dict[str, Any], truth: dict[str, Any]) -> None:
    for what in ("run", "wait"):
        for share, value in zip(SHARES, truth[what] or [None] * 3, strict=True):
            assert close(row[f"{what}_{share}"], value), (what, share, row, value)


def test_models(db: Connection) -> None:
    for stage in stages(db):
        with db.transaction():
            for span in spans(db):
                now, before = whole(db, span)
                rows = models.models(db, step="hour", most=100, **span)
                truth = plain.models(db, **now)
                old = {row["model_id"]: row for row in plain.models(db, **before)}
                assert len(rows) == 11, stage
                for row, expected in zip(rows, truth, strict=True):
                    for name in EXACT:
                        assert row[name] == pytest.approx(expected[name]), (stage, name)
                    compare_percentiles(row, expected)
                    compare_before(row, old.get(row["model_id"]))


def compare_before(row: dict[str, Any], truth: dict[str, Any] | None) -> None:
    if truth is None:
        assert (row["before_completed"], row["before_failed"]) == (0, 0)
        assert row["before_p50"] is row["before_p95"] is None
        return
    assert row["before_completed"] == truth["completed"]
    assert row["before_failed"] == truth["failed"]
    for name, place in (("before_p50", 0), ("before_p95", 1)):
        assert close(row[name], truth["run"][place] if truth["run"] else None), name


def test_the_most_used_come_first_and_the_share_is_of_all(db: Connection) -> None:
    next(stages(db))
    span = {"start": None, "length": 100 * HOUR, "bucket": "hour"}
    every = models.models(db, step="day", most=100, **span)
    assert sum(row["usage"] for row in every) == pytest.approx(1)
    assert models.models(db, step="day", most=3, **span) == every[:3]
    assert [row["jobs"] for row in every] == sorted((row["jobs"] for row in every), reverse=True)
    assert "" in [row["model_id"] for row in every]


def test_trends_follow_the_hours(db: Connection) -> None:
    for _ in stages(db):
        with db.transaction():
            span = {"start": None, "length": 20 * HOUR, "bucket": "hour"}
            now, _ = whole(db, span)
            for row in models.models(db, step="hour", most=100, **span):
                truth = plain.trend(db, step="hour", model=row["model_id"], **now)
                values = [step["run"][0] for step in truth if step["run"]]
                assert len(row["trend"]) == len(values)
                assert all(map(close, row["trend"], values))


def test_trends_have_thirty_steps_at_most(db: Connection) -> None:
    next(stages(db))
    span = {"start": None, "length": 90 * HOUR, "bucket": "hour"}
    trends = [row["trend"] for row in models.models(db, step="hour", most=100, **span)]
    # One more for the hour that has begun.
    assert 29 <= max(map(len, trends)) <= 31


@pytest.mark.parametrize("model", [None, "", "m/0", "nobody/nothing"])
def test_distribution(db: Connection, model: str | None) -> None:
    for stage in stages(db):
        with db.transaction():
            span = spans(db)[0]
            now, before = whole(db, span)
            bins = models.distribution(db, model=model, **span)
            assert bool(bins) == (model != "nobody/nothing")
            for period, when in (("now", now), ("before", before)):
                for what in ("run", "wait"):
                    some = [b for b in bins if (b["what"], b["period"]) == (what, period)]
                    compare_bins(db, some, {"what": what, "model": model, **when}, stage)


def compare_bins(
    db: Connection, bins: list[dict[str, Any]], of: dict[str, Any], stage: str
) -> None:
    total = plain.in_bin(db, from_seconds=float("-inf"), to_seconds=float("inf"), **of)
    assert sum(b["jobs"] for b in bins) == total, (stage, of)
    for b in bins[::5]:
        edges = {"from_seconds": b["from_seconds"], "to_seconds": b["to_seconds"]}
        assert b["jobs"] == plain.in_bin(db, **edges, **of), (stage, of, b)
        assert b["share"] == pytest.approx(b["jobs"] / total)


@pytest.mark.parametrize("model", [None, "m/1", ""])
def test_trend(db: Connection, model: str | None) -> None:
    for stage in stages(db):
        with db.transaction():
            for span in spans(db):
                now, _ = whole(db, span)
                step = span["bucket"]
                rows = models.trend(db, step=step, model=model, **span)
                truth = {row["at"]: row for row in plain.trend(db, step=step, model=model, **now)}
                assert {row["at"] for row in rows} >= truth.keys()
                nothing = {"jobs": 0, "failed": None, "run": None, "wait": None}
                for row in rows:
                    expected = truth.get(row["at"], nothing)
                    assert row["jobs"] == expected["jobs"], stage
                    assert row["failed"] == pytest.approx(expected["failed"]), stage
                    compare_percentiles(row, expected)


def test_without_any_job(db: Connection) -> None:
    span = {"start": None, "length": 24 * HOUR, "bucket": "hour"}
    assert models.models(db, step="hour", most=10, **span) == []
    assert models.distribution(db, model=None, **span) == []
    assert {row["jobs"] for row in models.trend(db, step="hour", model=None, **span)} == {0}
