"""The current state of the queue, as the query `now` of queries/overview.sql returns it."""

from datetime import datetime
from typing import Any, TypedDict


class Pause(TypedDict):
    """A pause of a job type, or of all types (*)."""

    job_type: str
    by: str
    seconds: float
    reason: str | None


class UnhandledType(TypedDict):
    """A job type that no worker alive runs: its due jobs, and how long the oldest has waited.

    `expected`: a worker of the last day runs it, or users cannot enqueue it.
    """

    job_type: str
    expected: bool
    due: int
    seconds: float


class OpenBreaker(TypedDict):
    """A provider whose circuit breaker is open; `retry_seconds` is None while a job tries it."""

    provider: str
    seconds: float
    retry_seconds: float | None
    reason: str | None


class RuleLimit(TypedDict):
    """When an alert rule's measure is a problem: above `limit`, given `minimum` jobs."""

    limit: float
    minimum: int
    critical: bool


class QueueState(TypedDict):
    """One row; the query describes the columns. Times are in seconds, None if not applicable.

    `oldest_due_seconds` is None only if no job is due, `oldest_rate_limited_seconds` only if no job
    waits for a rate limit.
    """

    pending: int
    retrying: int
    due: int
    oldest_due_seconds: float
    rate_limited: int
    oldest_rate_limited_seconds: float
    oldest_pending_seconds: float | None
    processing: int
    stuck: int
    stuck_seconds: float | None
    workers_alive: int
    slots: int
    unhandled: list[UnhandledType]
    paused: list[Pause]
    down: list[OpenBreaker]
    held_models: list[str]
    rules: dict[str, RuleLimit]
    alerts: list[dict[str, Any]]
    worker_seen_seconds: float
    last_hour_ended: int
    last_hour_completed: int
    last_hour_failed: int
    last_hour_refused: int
    wait_p95: float | None
    last_hour_failure_share: float | None
    last_completed_minute: datetime | None
    last_completion_seconds: float | None
    usual_completed: float | None
    usual_failed: float | None
    usual_wait_p95: float | None
    usual_failure_share: float | None
