"""A worker's recurring tasks as a schedule, shown where pg_cron is not installed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lib.formats import duration
from lib.queue.upkeep import RESCUE_CHECKS_PER_TIMEOUT, ROLLUP_SECONDS
from lib.settings import Settings

STOPPED_AFTER = timedelta(minutes=1)
"""A worker without a heartbeat for this long has no next run."""


def worker_schedule(
    settings: Settings, last: Mapping[str, Any], now: datetime
) -> list[dict[str, Any]]:
    """Rows of what, schedule (in words), last and next run; None if that is not recorded.

    Uses this process's settings. `last` is a row of the query `own_schedule` in
    queries/workers.sql.
    """
    rescue_seconds = settings.rescue_seconds or last["stuck_after_seconds"]
    rescue_interval = duration(rescue_seconds / RESCUE_CHECKS_PER_TIMEOUT)
    return [
        {
            "what": "Claim pending jobs",
            "schedule": f"Every {duration(settings.poll_seconds)}, and when notified of a job",
            "last": last["claimed_at"],
            "next": None,
        },
        {
            "what": "Rescue jobs of lost workers",
            "schedule": f"Every {rescue_interval},"
            f" after {duration(rescue_seconds)} without a heartbeat",
            "last": None,
            "next": None,
        },
        _recorded("Send heartbeat", settings.heartbeat_seconds, last["seen_at"], now),
        _recorded("Update statistics", ROLLUP_SECONDS, last["folded_at"], now),
    ]


def _recorded(
    task: str, every_seconds: float, last: datetime | None, now: datetime
) -> dict[str, Any]:
    due_at = last + timedelta(seconds=every_seconds) if last else None
    is_running = due_at and now - due_at < STOPPED_AFTER
    return {
        "what": task,
        "schedule": f"Every {duration(every_seconds)}",
        "last": last,
        "next": due_at if is_running else None,
    }
