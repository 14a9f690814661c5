"""A queue whose clock the test sets, and all jobs that ever were beside it."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lib.database import load
from lib.database.pool import Connection

plain = load("plain", Path(__file__).parent)
readers = load("readers", Path(__file__).parent)

Row = dict[str, Any]
PERCENTILES = ("run_p50", "run_p95", "wait_p99")
ERROR = 0.1  # What histogram_percentile promises.
FOREVER = {"since": "-infinity", "until": "infinity"}


class History:
    """Calls the queue's functions and then moves what they wrote to `now`, a time of the past.

    A job keeps the moments at which it was created and claimed; what is folded is what finished
    before `now` at the time of the last refresh.
    """

    def __init__(self, db: Connection, now: datetime | None = None) -> None:
        self.db = db
        self.now = now or datetime(2026, 3, 16, 22, 0, tzinfo=UTC)
        db.execute(
            "create table purged_jobs (like job_queue);"
            # Refused jobs count apart.
            "create view all_jobs as select id, job_type, payload,"
            " case when status = 'failed' and error_details ->> 'code' = 'refused' then 'refused'"
            " else status end as status, scheduled_at, started_at, completed_at, error_message,"
            " error_details, created_by, created_at, attempts"
            " from (select * from job_queue union all select * from purged_jobs) every"
        )

    def value(self, statement: str, *args: Any) -> Any:
        """The first value of a statement."""
        row = self.db.execute(statement.encode(), args).fetchone()
        return next(iter(row.values())) if row else None

    def ids(self, statement: str, *args: Any) -> list[Any]:
        """The ids that a statement gives."""
        return [row["id"] for row in self.db.execute(statement.encode(), args)]

    def enqueue(self, job_type: str = "a", user: str | None = None, **payload: Any) -> Any:
        """The id of a new job, created and due now."""
        with self.db.transaction():
            job_id = self.value(
                "select enqueue_job(%s, %s, 0, %s, 1, %s)",
                job_type,
                json.dumps(payload),
                self.now,
                user,
            )
            self.db.execute(
                "update job_queue set created_at = %s where id = %s", [self.now, job_id]
            )
        return job_id

    def claim(self, limit: int = 1, wait: float = 1.5) -> list[Any]:
        """Ids of jobs that are claimed now, `wait` seconds after they were due."""
        with self.db.transaction():
            claimed = self.ids("select id from claim_jobs(%s)", limit)
            self.db.execute(
                "update job_queue set started_at = %s, scheduled_at = %s where id = any(%s)",
                [self.now, self.now - timedelta(seconds=wait), claimed],
            )
        return claimed

    def complete(self, job_id: Any) -> None:
        """Ends a claim with success, now."""
        with self._finishing([job_id]):
            self.db.execute("select complete_job(%s)", [job_id])

    def fail(self, job_id: Any, error: str = "no luck", code: str | None = None) -> None:
        """Ends a claim for good with an error, now."""
        details = {"permanent": True} | ({"code": code} if code else {})
        with self._finishing([job_id]):
            self.db.execute(
                "select complete_job(%s, false, %s, %s)", [job_id, error, json.dumps(details)]
            )

    def cancel(self, job_ids: list[Any]) -> None:
        """Cancels jobs, now."""
        with self._finishing(job_ids):
            self.db.execute("select cancel_jobs('operator', %s)", [job_ids])

    def retry(self, job_ids: list[Any]) -> None:
        """Puts failed or cancelled jobs back to pending, due now."""
        with self.db.transaction():
            self.db.execute("select retry_jobs('operator', %s)", [job_ids])
            self.db.execute(
                "update job_queue set scheduled_at = %s where status = 'pending' and id = any(%s)",
                [self.now, job_ids],
            )

    def purge(self, before: datetime, limit: int = 10_000) -> int:
        """Purges one batch of the jobs that ended before a time; they stay in all_jobs."""
        self.db.execute("insert into purged_jobs select * from job_queue")
        purge = "select purged from purge_finished_jobs('operator', now() - %s, %s)"
        purged: int = self.value(purge, before, limit)
        self.db.execute("select stop_purge('operator')")
        self.db.execute("delete from purged_jobs where id in (select id from job_queue)")
        return purged

    def refresh(self) -> None:
        """Folds what finished before now."""
        self._set_clock()
        while self.value("select refresh_rollup()"):
            pass

    def rebuild(self) -> None:
        """Folds again all that finished before now."""
        self._set_clock()
        self.db.execute("select rebuild_rollup()")

    def _set_clock(self) -> None:
        self.db.execute(
            "update rollup_state"
            " set checkpoint_at = %s, checkpoint_xid = pg_snapshot_xmin(pg_current_snapshot())",
            [self.now],
        )

    def finished(self, status: str, limit: int, draw: random.Random) -> list[Any]:
        """Some finished jobs of a status."""
        found = self.ids(
            "select id from job_queue where status = %s order by created_at, id", status
        )
        return draw.sample(found, min(limit, len(found)))

    @contextmanager
    def _finishing(self, job_ids: list[Any]) -> Iterator[None]:
        with self.db.transaction():
            yield
            self.db.execute(
                "update job_queue set completed_at = %s where completed_at is not null"
                " and id = any(%s)",
                [self.now, job_ids],
            )


def compare(db: Connection, span: dict[str, Any], bucket: str = "hour") -> int:
    """Asserts that readers and rows agree; returns how many jobs ended in the span."""
    folded = readers.job_stats(db, bucket=bucket, **span)
    counted = plain.job_stats(db, bucket=bucket, **span)
    assert [exact(row) for row in folded] == [exact(row) for row in counted]
    for estimate, truth in zip(folded, counted, strict=True):
        for name in PERCENTILES:
            close(estimate[name], truth[name])
    for name in ("arrival_stats", "failure_stats"):
        assert getattr(readers, name)(db, **span) == getattr(plain, name)(db, **span), name
    return sum(row["jobs"] for row in folded)


def compare_health(db: Connection) -> None:
    """Asserts that queue_health says what a count of all rows says."""
    assert readers.queue_health(db) == plain.queue_health(db)


def exact(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in PERCENTILES}


def close(estimate: float | None, truth: float | None) -> None:
    if truth is None:
        assert estimate is None
    else:
        assert estimate is not None
        assert abs(estimate - truth) <= max(ERROR * truth, 0.001)
