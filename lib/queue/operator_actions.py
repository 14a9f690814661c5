"""What operators do to jobs and to the queue. Each is recorded with who did it.

All raise DatabaseUnavailable while the database is away; then nothing changed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from lib.database import Pool, load, translated

ALL_TYPES = "*"
"""Stands for every type of job in pauses."""
BATCH = 500
"""Most jobs that in_batches changes in one transaction."""


def reset_stuck_jobs(pool: Pool, actor: str, job_ids: Sequence[UUID] | None) -> list[UUID]:
    """Puts stuck jobs back to pending: all, or those of `job_ids` that are still stuck.

    Returns the jobs that were reset.
    """
    with translated(), pool.connection() as connection:
        ids = None if job_ids is None else list(job_ids)
        rows = load("operator_actions").reset_stuck_jobs(connection, actor=actor, job_ids=ids)
        return [row["id"] for row in rows]


def cancel_jobs(pool: Pool, actor: str, job_ids: Sequence[UUID]) -> list[UUID]:
    """Cancels those of the jobs that wait or run. Returns them."""
    with translated(), pool.connection() as connection:
        rows = load("operator_actions").cancel_jobs(connection, actor=actor, job_ids=list(job_ids))
        return [row["id"] for row in rows]


def retry_jobs(pool: Pool, actor: str, job_ids: Sequence[UUID]) -> list[UUID]:
    """Puts those of the jobs that failed or were cancelled back to pending. Returns them."""
    with translated(), pool.connection() as connection:
        rows = load("operator_actions").retry_jobs(connection, actor=actor, job_ids=list(job_ids))
        return [row["id"] for row in rows]


def cancel_duplicates(pool: Pool, actor: str) -> list[UUID]:
    """Cancels waiting jobs whose generation has an older live job or is completed. Returns them."""
    with translated(), pool.connection() as connection:
        rows = load("operator_actions").cancel_duplicates(connection, actor=actor)
        return [row["id"] for row in rows]


def in_batches(
    action: Callable[[Pool, str, Sequence[UUID]], list[UUID]],
    pool: Pool,
    actor: str,
    job_ids: Sequence[UUID],
    progress: Callable[[float], object],
) -> int:
    """Does an action such as retry_jobs to any number of jobs, each batch in its own transaction.

    `progress` is told the share that is done, up to 1. Returns how many jobs were changed. When
    the database goes away in between, the batches before stay done; the action may be repeated.
    """
    changed = 0
    for start in range(0, len(job_ids), BATCH):
        changed += len(action(pool, actor, job_ids[start : start + BATCH]))
        progress(min((start + BATCH) / len(job_ids), 1.0))
    return changed


def pause_queue(pool: Pool, actor: str, job_type: str = ALL_TYPES, reason: str = "") -> None:
    """Stops the claiming of a type of jobs, or of all; running ones go on."""
    with translated(), pool.connection() as connection:
        load("operator_actions").pause_queue(
            connection, actor=actor, job_type=job_type, reason=reason or None
        )


def resume_queue(pool: Pool, actor: str, job_type: str = ALL_TYPES) -> bool:
    """Lifts a pause. False when there was none."""
    with translated(), pool.connection() as connection:
        return bool(
            load("operator_actions").resume_queue(connection, actor=actor, job_type=job_type)
        )


def set_user_limits(
    pool: Pool, actor: str, user_id: UUID, daily_limit: int | None, hourly_limit: int | None
) -> None:
    """Sets how many generations a user may start in 24 hours and in one; None for the default.

    Raises QueryError with sqlstate DR404 when there is no such user.
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
    """Sets how many percent of the users take the queue, 0 to 100, from their next request on."""
    with translated(), pool.connection() as connection:
        load("operator_actions").set_async_rollout(connection, actor=actor, percentage=percentage)


def stop_purge(pool: Pool, actor: str) -> bool:
    """Ends the purge that is under way, after its running batch. False when there is none."""
    with translated(), pool.connection() as connection:
        return bool(load("operator_actions").stop_purge(connection, actor=actor))


def purge_cron_history(pool: Pool, actor: str, older_than: timedelta) -> int:
    """Deletes up to 10,000 old runs that pg_cron keeps a record of. Returns how many."""
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
) -> None:
    """Adds a model or changes it; `price` in dollars an image, None where it is not known.

    Raises QueryError with sqlstate 22023 and what does not fit.
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
        )


def enable_model(pool: Pool, actor: str, model_id: str, enabled: bool = True) -> None:
    """Lets users ask for a model, or no longer."""
    with translated(), pool.connection() as connection:
        load("operator_actions").enable_model(connection, actor=actor, id=model_id, enabled=enabled)


def restore_realtime(pool: Pool, actor: str) -> list[str]:
    """Puts back what tells those who wait of changes. Returns what was missing."""
    with translated(), pool.connection() as connection:
        return list(load("operator_actions").restore_realtime(connection, actor=actor))


def restore_user_access(pool: Pool, actor: str) -> list[str]:
    """Puts back what lets users read their own rows. Returns what was missing."""
    with translated(), pool.connection() as connection:
        return list(load("operator_actions").restore_user_access(connection, actor=actor))


def probe_provider(pool: Pool, actor: str, provider: str) -> bool:
    """Lets the next job try a provider that is held for down. False when it is not."""
    with translated(), pool.connection() as connection:
        return bool(
            load("operator_actions").probe_provider(connection, actor=actor, provider=provider)
        )
