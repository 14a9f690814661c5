"""A queue and its model side by side, and what always holds."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant
from psycopg import sql
from queue_calls import GENERATION, Queue
from queue_model import FINISHED, Generation, Job, Model

LATENESS = 1.0  # seconds between a change and its time stamps, at most
TABLES = (
    "job_queue",
    "job_leases",
    "image_generations",
    "provider_breakers",
    "model_holds",
    "queue_pauses",
    "audit_log",
)
SHIFTS = (
    "update job_queue set scheduled_at = scheduled_at - %(by)s, started_at = started_at - %(by)s",
    "update job_leases set heartbeat_at = heartbeat_at - %(by)s",
    "update model_holds set held_until = held_until - %(by)s",
    "update provider_breakers set open_until = open_until - %(by)s",
)
EVERYTHING = sql.SQL("select {}").format(
    sql.SQL(", ").join(
        sql.SQL(
            "(select coalesce(jsonb_agg(to_jsonb(r) order by to_jsonb(r)), '[]') from {0} r) as {0}"
        ).format(sql.Identifier(table))
        for table in TABLES
    )
)
JOBS = """
    select q.*, coalesce(jsonb_array_length(q.error_details -> 'attempts'), 0) as errors,
           (select array_agg((l.worker_id, l.attempt)::text)
            from job_leases l where l.job_id = q.id) as leases
    from job_queue q
"""


class Comparison(RuleBasedStateMachine):
    """Compares after every step; the rules come from a subclass."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self.queue = queue
        for table in TABLES:
            queue.db.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))
        queue.db.execute(
            "insert into image_generations (id, prompt, model_id) values (%s, 'p', 'm1')",
            [GENERATION],
        )
        self.model = Model(generations={GENERATION: Generation("queued")})
        self.late: set[str | None] = set()
        """Predictions recorded by attempts that were over."""
        self.before = self.everything()

    def everything(self) -> dict[str, Any]:
        """All rows by table, to see that nothing changed."""
        return self.queue.db.execute(EVERYTHING).fetchone()

    def unchanged(self) -> None:
        """Since the end of the last step."""
        assert self.everything() == self.before

    def pass_time(self, minutes: int) -> None:
        """As if so much time had passed."""
        by = timedelta(minutes=minutes)
        for shift in SHIFTS:
            self.queue.db.execute(shift, {"by": by})
        self.model.clock += minutes
        for job in self.model.jobs.values():
            job.scheduled_at -= by

    def waits(self, job: Job, seconds: float, jitter: float = 0) -> None:
        """The job is due so many seconds after its change; the model learns when exactly."""
        row = self.queue.job(job.id)
        wait = (row["scheduled_at"] - row["updated_at"]).total_seconds()
        assert seconds - LATENESS <= wait <= seconds * (1 + jitter) + LATENESS
        job.scheduled_at = row["scheduled_at"]

    def is_due(self, jobs: list[Job]) -> None:
        """The jobs wait for a place each, in claim order; then as if that were over."""
        ordered = sorted(jobs, key=lambda j: (-j.priority, j.created_at))
        due = [self.queue.job(job.id)["scheduled_at"] for job in ordered]
        assert due == sorted(due)
        self.queue.make_due(*(job.id for job in jobs))
        for job in jobs:
            job.scheduled_at = self.queue.job(job.id)["scheduled_at"]

    def refused(self, statement: str, *args: Any) -> None:
        """The queue says that this is not possible now, and nothing changes."""
        with pytest.raises(psycopg.Error) as error:
            self.queue.rows(statement, *args)
        assert error.value.sqlstate == "DR409"
        self.unchanged()

    def backs_off(self, job: Job, at_least: float = 0) -> None:
        """The job waits as long as the number of its failed attempts says."""
        backoff = min(10 * 2 ** (job.errors - 1), 3600)
        self.waits(job, max(backoff, at_least), jitter=0.25)

    @invariant()
    def does_as_the_model(self):
        rows = {row["id"]: row for row in self.queue.rows(JOBS)}
        assert rows.keys() == self.model.jobs.keys()
        for job in self.model.jobs.values():
            row = rows[job.id]
            lease = job.lease and [f"({job.lease.worker},{job.attempts})"]
            found = [row[name] for name in ("status", "attempts", "max_attempts", "errors")]
            assert found == [job.status, job.attempts, job.max_attempts, job.errors]
            assert row["scheduled_at"] == job.scheduled_at
            assert row["leases"] == lease
            assert (row["status"] == "processing") == (row["leases"] is not None)
            assert (row["completed_at"] is not None) == (row["status"] in FINISHED)

    @invariant()
    def generations_follow_their_jobs(self):
        rows = self.queue.rows("select id, status, progress, prediction_id from image_generations")
        assert {str(row["id"]): tuple(row.values())[1:] for row in rows} == {
            key: (g.status, g.progress, g.prediction) for key, g in self.model.generations.items()
        }
        live = self.queue.rows(
            "select generation_of(payload) as id, count(*) from job_queue"
            " where status in ('pending', 'processing') and payload ? 'generation_id' group by 1"
        )
        assert all(row["count"] == 1 for row in live)

    @invariant()
    def attempts_never_decrease_and_completed_is_final(self):
        now = self.everything()
        later = {row["id"]: row for row in now["job_queue"]}
        for row in self.before["job_queue"]:
            assert later[row["id"]]["attempts"] >= row["attempts"]
            if row["status"] == "completed":
                assert later[row["id"]]["status"] == "completed"
        self.before = now
