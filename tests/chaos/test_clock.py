"""Workers whose clocks are wrong by an hour: every time that counts is the database's."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from rig import SCHNELL, Rig, rigged, throttled

from lib.database.pool import Connection

pytestmark = pytest.mark.slow

LAUNCHER = str(Path(__file__).with_name("shifted_clock.py"))
HOUR = 3600
LIVE = {
    "jobs": "select * from public.job_queue",
    "leases": "select * from public.job_leases",
    "workers": "select * from public.workers",
    "generations": "select * from public.image_generations",
}


@pytest.fixture
def rig(
    db: Connection, database: str, tmp_path: Path, eventually: Callable[..., Any]
) -> Iterator[Rig]:
    with rigged(db, database, tmp_path, eventually) as made:
        yield made


def now(rig: Rig) -> datetime:
    return rig.db.execute("select clock_timestamp() as now").fetchone()["now"]


def assert_written_between(rig: Rig, since: datetime) -> None:
    """Every time in the live tables lies between a moment and now, by the database's clock."""
    looked_at = 0
    for table, query in LIVE.items():
        rows = rig.db.execute(query).fetchall()
        until = now(rig)
        for row in rows:
            row.pop("process_started_at", None)
            times = {column: at for column, at in row.items() if isinstance(at, datetime)}
            looked_at += len(times)
            assert {c: at for c, at in times.items() if not since <= at <= until} == {}, table
    assert looked_at


def test_an_hour_ahead_and_an_hour_behind_nothing_is_stolen_or_stuck(rig):
    since = now(rig)
    workers = [
        rig.worker(
            command=[LAUNCHER, str(shift)],
            DARKROOM_RESCUE_SECONDS="2",
            DARKROOM_CONCURRENCY="3",
        )
        for shift in (HOUR, -HOUR)
    ]
    hanging = [rig.start(f"Held {n} [hang]") for n in range(2)]
    rig.wait_for("processing", *hanging)
    jobs = [rig.start(f"Number {n}") for n in range(8)]
    failing = rig.start("Fails [fail]")
    rig.wait_for("completed", *jobs)
    rig.wait_for("failed", failing)
    # By now a worker that took the other's jobs for abandoned would have rescued them.
    held_for = (
        "select min(clock_timestamp() - started_at) as t from public.job_queue where id = any (%s)"
    )
    rig.eventually(
        lambda: rig.db.execute(held_for, (hanging,)).fetchone()["t"] > timedelta(seconds=2.5)
    )
    found = [rig.job(job) for job in hanging]
    assert {(job["status"], job["attempts"]) for job in found} == {("processing", 1)}
    assert {rig.job(job)["attempts"] for job in jobs} == {1}
    assert rig.job(failing)["attempts"] == 3
    assert_written_between(rig, since)
    for worker in workers:
        assert worker.stop() == 0
    assert_written_between(rig, since)
    # The clocks really were wrong.
    for worker, shift in zip(workers, (HOUR, -HOUR), strict=True):
        logged = datetime.fromisoformat(re.search(r"^\d{4}-\S+ [\d:]+", worker.log, re.M)[0])
        assert abs(logged.astimezone(UTC) - since - timedelta(seconds=shift)) < timedelta(minutes=1)


def test_a_silent_worker_with_a_wrong_clock_is_rescued_by_one_with_another(rig):
    since = now(rig)
    ahead = rig.worker(command=[LAUNCHER, str(HOUR)], DARKROOM_HEARTBEAT_SECONDS="0.05")
    job = rig.start("Left behind [slow]")
    rig.wait_for_prediction(job)
    # Its last sign of life is a heartbeat, not the claim.
    beat = (
        "select from public.job_leases l join public.job_queue q on q.id = l.job_id"
        " where l.heartbeat_at > q.started_at + interval '20 ms'"
    )
    rig.eventually(lambda: rig.db.execute(beat).fetchone() is not None)
    ahead.kill()
    rig.worker(command=[LAUNCHER, str(-HOUR)], DARKROOM_RESCUE_SECONDS="1")
    rig.wait_for("completed", job)
    assert rig.job(job)["attempts"] == 2
    assert_written_between(rig, since)
    rig.assert_ended_once(job)


def test_a_job_for_later_starts_neither_early_nor_late(rig):
    later = rig.start("In half an hour")
    soon = rig.start("Half a minute ago")
    schedule = "update public.job_queue set scheduled_at = now() + %s where id = %s"
    rig.db.execute(schedule, (timedelta(minutes=30), later))
    rig.db.execute(schedule, (-timedelta(seconds=30), soon))
    for shift in (HOUR, -HOUR):
        rig.worker(command=[LAUNCHER, str(shift)])
    rig.wait_for("completed", soon)
    assert rig.job(later)["status"] == "pending"


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_a_rest_until_a_date_is_measured_by_the_providers_clock(rig, shift):
    with throttled(rig, SCHNELL) as throttle:
        throttle.retry_after = lambda: format_datetime(
            datetime.now(UTC) + timedelta(minutes=10), usegmt=True
        )
        rig.worker(command=[LAUNCHER, str(shift)], provider=throttle.url)
        job = rig.start("At ten past")
        rig.eventually(lambda: rig.job(job)["error_message"])
        # HTTP's dates are whole seconds.
        assert 570 <= rig.held_seconds(SCHNELL) <= 602
