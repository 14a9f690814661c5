"""The queue's SQL functions, called as psql would call them, on one connection."""

import json
from typing import Any

from lib.database.pool import Connection

WORKER = "00000000-0000-0000-0000-000000000001"
OTHER = "00000000-0000-0000-0000-000000000002"
GENERATION = "aaaaaaaa-1111-1111-1111-111111111111"

Row = dict[str, Any]


class Queue:
    """One connection to the queue."""

    def __init__(self, db: Connection) -> None:
        self.db = db

    def rows(self, statement: str, *args: Any) -> list[Row]:
        """All rows of a statement."""
        return self.db.execute(statement, args).fetchall()

    def one(self, statement: str, *args: Any) -> Any:
        """The only row of a statement; its value when it has one column."""
        (row,) = self.rows(statement, *args)
        return next(iter(row.values())) if len(row) == 1 else row

    def enqueue(
        self,
        job_type: str = "generate-image",
        *,
        due: str = "0",
        priority: int = 0,
        max_attempts: int = 3,
        **payload: Any,
    ) -> Any:
        """The id of a new job; `due` is an interval from now."""
        return self.one(
            "select enqueue_job(%s, %s, %s, now() + %s::interval, %s)",
            job_type,
            json.dumps({"prompt": "p"} | payload),
            priority,
            due,
            max_attempts,
        )

    def claim(self, limit: int = 1, types: list[str] | None = None, worker: str = WORKER) -> list:
        """Ids of the jobs claimed, in the order given."""
        claimed = self.rows("select id from claim_jobs(%s, %s, %s)", limit, types, worker)
        return [row["id"] for row in claimed]

    def claimed(self, job_type: str = "generate-image", **options: Any) -> Any:
        """The id of a new job that WORKER has claimed."""
        job_id = self.enqueue(job_type, **options)
        assert self.claim(types=[job_type]) == [job_id]
        return job_id

    def fail(self, job_id: Any, **details: Any) -> str:
        """Ends the current attempt with the error 'no luck' and these details."""
        return self.one(
            "select complete_job(%s, false, 'no luck', %s)", job_id, json.dumps(details)
        )

    def complete(self, job_id: Any, attempt: int | None = None) -> str:
        """Ends an attempt with success."""
        return self.one("select complete_job(%s, p_attempt => %s)", job_id, attempt)

    def job(self, job_id: Any) -> Row:
        """The row of a job."""
        return self.one("select * from job_queue where id = %s", job_id)

    def status(self, job_id: Any) -> str:
        """The status of a job."""
        return self.job(job_id)["status"]

    def lease(self, job_id: Any) -> Row | None:
        """Who works on a job, None when nobody does."""
        found = self.rows("select * from job_leases where job_id = %s", job_id)
        return found[0] if found else None

    def wait_of(self, job_id: Any) -> float:
        """Seconds between a job's last change and when it is due."""
        wait = self.one("select scheduled_at - updated_at from job_queue where id = %s", job_id)
        return wait.total_seconds()

    def make_due(self, *job_ids: Any) -> None:
        """As if the wait of these jobs were over."""
        self.db.execute(
            "update job_queue set scheduled_at = now() where id = any (%s)", [list(job_ids)]
        )

    def make_silent(self, *job_ids: Any) -> None:
        """As if the workers of these jobs had not shown life for an hour."""
        self.db.execute(
            "update job_queue set started_at = now() - interval '1 hour' where id = any (%s)",
            [list(job_ids)],
        )
        self.db.execute(
            "update job_leases set heartbeat_at = now() - interval '1 hour'"
            " where job_id = any (%s)",
            [list(job_ids)],
        )

    def heartbeat(self, job_id: Any, attempt: int = 1, worker: str = WORKER) -> list[Row]:
        """The claim, with what became of its job, when the worker has lost it."""
        return self.rows(
            "select * from heartbeat_jobs(%s, array[%s]::uuid[], array[%s])",
            worker,
            job_id,
            attempt,
        )

    def cancel(self, *job_ids: Any, actor: str | None = "operator") -> set:
        """Ids of the jobs cancelled."""
        changed = self.rows("select id from cancel_jobs(%s, %s)", actor, list(job_ids))
        return {row["id"] for row in changed}

    def retry(self, *job_ids: Any, actor: str | None = "operator") -> set:
        """Ids of the jobs put back."""
        changed = self.rows("select id from retry_jobs(%s, %s)", actor, list(job_ids))
        return {row["id"] for row in changed}

    def reset(self, *job_ids: Any, actor: str | None = "operator") -> set:
        """Ids of the stuck jobs reset, among these or among all."""
        changed = self.rows("select id from reset_stuck_jobs(%s, %s)", actor, list(job_ids) or None)
        return {row["id"] for row in changed}

    def rescue(self) -> set:
        """Ids of the jobs taken from silent workers."""
        return {row["id"] for row in self.rows("select id from rescue_stuck_jobs()")}

    def begin(self, job_id: Any, attempt: int = 1) -> list[Row]:
        """What the holder of a claim runs."""
        return self.rows("select * from begin_generation(%s, %s)", job_id, attempt)

    def generation(self, generation_id: str = GENERATION) -> Row:
        """The row of a generation."""
        return self.one("select * from image_generations where id = %s", generation_id)

    def audit(self) -> list[Row]:
        """What operators did, oldest first."""
        return self.rows("select actor, action, affected, details from audit_log order by id")
