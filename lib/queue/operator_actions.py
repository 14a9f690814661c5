"""Actions of operators on jobs and the queue, each recorded in the audit log with its actor.

All raise DatabaseUnavailable if the database is unreachable; then nothing changed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from lib.database import DatabaseError, DatabaseUnavailable, Pool, load, translated

ALL_TYPES = "*"
"""Means all job types in pauses."""
BATCH = 500
"""Maximum number of jobs that Batches changes in one transaction."""
MAX_REFUSED = 20
"""After this many refused jobs, all are likely to be refused."""

BatchAction = Callable[[Pool, str, Sequence[UUID]], list[UUID]]
"""Changes jobs, given the pool, the actor and their ids. Returns those that it changed."""


def reset_stuck_jobs(pool: Pool, actor: str, job_ids: Sequence[UUID] | None) -> list[UUID]:
    """Reset stuck jobs to pending: all, or those of `job_ids` that are still stuck.

    Returns the jobs that were reset.
    """
    with translated(), pool.connection() as connection:
        ids = None if job_ids is None else list(job_ids)
        rows = load("operator_actions").reset_stuck_jobs(connection, actor=actor, job_ids=ids)
        return [row["id"] for row in rows]


def cancel_jobs(
    pool: Pool, actor: str, job_ids: Sequence[UUID], *, running: bool = True
) -> list[UUID]:
    """Cancel those of the jobs that are pending or, with `running`, running. Returns them."""
    with translated(), pool.connection() as connection:
        rows = load("operator_actions").cancel_jobs(
            connection, actor=actor, job_ids=list(job_ids), running=running
        )
        return [row["id"] for row in rows]


def retry_jobs(pool: Pool, actor: str, job_ids: Sequence[UUID]) -> list[UUID]:
    """Reset those of the jobs that failed or were cancelled to pending. Returns them."""
    with translated(), pool.connection() as connection:
        rows = load("operator_actions").retry_jobs(connection, actor=actor, job_ids=list(job_ids))
        return [row["id"] for row in rows]


def set_priority(pool: Pool, actor: str, job_ids: Sequence[UUID], priority: int) -> list[UUID]:
    """Change the priority of those of the jobs that are pending. Returns the jobs that changed."""
    with translated(), pool.connection() as connection:
        rows = load("operator_actions").set_priority(
            connection, actor=actor, job_ids=list(job_ids), priority=priority
        )
        return [row["id"] for row in rows]


def cancel_duplicates(pool: Pool, actor: str) -> list[UUID]:
    """Cancel pending jobs whose generation has an older live job or is completed. Returns them."""
    with translated(), pool.connection() as connection:
        rows = load("operator_actions").cancel_duplicates(connection, actor=actor)
        return [row["id"] for row in rows]


def enqueue_job(
    pool: Pool,
    actor: str,
    job_type: str,
    payload: Mapping[str, Any],
    *,
    priority: int = 0,
    scheduled_at: datetime | None = None,
) -> UUID:
    """Add a job, to run at once or at a time. Returns its id.

    Raises QueryError, whose message says what is invalid.
    """
    with translated(), pool.connection() as connection:
        id: UUID = load("operator_actions").enqueue_job(
            connection,
            actor=actor,
            job_type=job_type,
            payload=json.dumps(payload),
            priority=priority,
            scheduled_at=scheduled_at,
        )
        return id


class Batches:
    """An action such as retry_jobs on any number of jobs, one transaction per batch.

    A job that the database refuses to change does not stop the others. If the database becomes
    unreachable, the batches done stay done, and `next` continues with the others.
    """

    def __init__(self, action: BatchAction, job_ids: Sequence[UUID]) -> None:
        self._action = action
        self._rest = [job_ids[start : start + BATCH] for start in range(0, len(job_ids), BATCH)]
        self.total = len(job_ids)
        self.done = 0
        """Jobs tried."""
        self.changed = 0
        self.refused = 0
        """Jobs that the database refused to change."""

    @property
    def finished(self) -> bool:
        """Whether all jobs were tried."""
        return not self._rest

    def next(self, pool: Pool, actor: str) -> None:
        """Change the next batch, at most BATCH jobs, in one transaction.

        Raises DatabaseUnavailable, and the database's refusal once it has refused MAX_REFUSED jobs.
        """
        job_ids = self._rest[0]
        try:
            self.changed += len(self._action(pool, actor, job_ids))
        except DatabaseUnavailable:
            raise
        except DatabaseError:
            if len(job_ids) > 1:
                # One of them was refused: the others need not wait for it.
                middle = len(job_ids) // 2
                self._rest[:1] = [job_ids[:middle], job_ids[middle:]]
                return
            if self.refused >= MAX_REFUSED:
                raise
            self.refused += 1
        del self._rest[0]
        self.done += len(job_ids)


def in_batches(
    action: BatchAction,
    pool: Pool,
    actor: str,
    job_ids: Sequence[UUID],
    progress: Callable[[float], object],
) -> int:
    """Apply an action to any number of jobs; see Batches.

    `progress` is called with the share done, up to 1. Returns how many jobs were changed.
    """
    batches = Batches(action, job_ids)
    while not batches.finished:
        batches.next(pool, actor)
        progress(batches.done / batches.total)
    return batches.changed


def pause_queue(pool: Pool, actor: str, job_type: str = ALL_TYPES, reason: str = "") -> None:
    """Stop the claiming of jobs of a type, or of all types; running jobs continue."""
    with translated(), pool.connection() as connection:
        load("operator_actions").pause_queue(
            connection, actor=actor, job_type=job_type, reason=reason or None
        )


def resume_queue(pool: Pool, actor: str, job_type: str = ALL_TYPES) -> bool:
    """Lift a pause. False if there was none."""
    with translated(), pool.connection() as connection:
        return bool(
            load("operator_actions").resume_queue(connection, actor=actor, job_type=job_type)
        )


def set_user_limits(
    pool: Pool, actor: str, user_id: UUID, daily_limit: int | None, hourly_limit: int | None
) -> None:
    """Set how many generations a user may start per 24 hours and per hour; None for the default.

    Raises QueryError with sqlstate DR404 if the user does not exist.
    """
    with translated(), pool.connection() as connection:
        load("operator_actions").set_user_limits(
            connection,
            actor=actor,
            user_id=user_id,
            daily_limit=daily_limit,
            hourly_limit=hourly_limit,
        )


def set_async_rollout(pool: Pool, actor: str, percentage: int) -> None:
    """Set the percentage of users on the queue, 0 to 100; applies from their next request."""
    with translated(), pool.connection() as connection:
        load("operator_actions").set_async_rollout(connection, actor=actor, percentage=percentage)


def stop_purge(pool: Pool, actor: str) -> bool:
    """Stop the running purge after its current batch. False if none is running."""
    with translated(), pool.connection() as connection:
        return bool(load("operator_actions").stop_purge(connection, actor=actor))


def purge_cron_history(pool: Pool, actor: str, older_than: timedelta) -> int:
    """Delete up to 10,000 old entries of pg_cron's run history. Returns how many."""
    with translated(), pool.connection() as connection:
        return int(
            load("operator_actions").purge_cron_history(
                connection, actor=actor, older_than=older_than
            )
        )


def set_model(
    pool: Pool,
    actor: str,
    model_id: str,
    *,
    display_name: str,
    version: str | None,
    default_parameters: Mapping[str, Any],
    price: float | None,
    enabled: bool,
    operator_fields: Sequence[str],
    deadline_seconds: int | None,
) -> None:
    """Add or update a model; `price` in dollars per image, None if unknown.

    `operator_fields` are the inputs that requests of users may not set; without a deadline of its
    own, predictions have that of the worker. Raises QueryError with sqlstate 22023, whose message
    says what is invalid.
    """
    with translated(), pool.connection() as connection:
        load("operator_actions").set_model(
            connection,
            actor=actor,
            id=model_id,
            display_name=display_name,
            version=version,
            default_parameters=json.dumps(default_parameters),
            price=price,
            enabled=enabled,
            operator_fields=list(operator_fields),
            deadline_seconds=deadline_seconds,
        )


def enable_model(pool: Pool, actor: str, model_id: str, enabled: bool = True) -> None:
    """Enable or disable a model for users."""
    with translated(), pool.connection() as connection:
        load("operator_actions").enable_model(connection, actor=actor, id=model_id, enabled=enabled)


def restore_realtime(pool: Pool, actor: str) -> list[str]:
    """Restore what notifies subscribers of changes. Returns what was missing."""
    with translated(), pool.connection() as connection:
        return list(load("operator_actions").restore_realtime(connection, actor=actor))


def restore_user_access(pool: Pool, actor: str) -> list[str]:
    """Restore what lets users read their own rows. Returns what was missing."""
    with translated(), pool.connection() as connection:
        return list(load("operator_actions").restore_user_access(connection, actor=actor))


def probe_provider(pool: Pool, actor: str, provider: str) -> bool:
    """Let the next job probe a provider whose circuit is open. False if it is not."""
    with translated(), pool.connection() as connection:
        return bool(
            load("operator_actions").probe_provider(connection, actor=actor, provider=provider)
        )
