"""What a worker does by itself, in the shape of a schedule: the clock where there is no pg_cron."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lib.formats import duration
from lib.queue.upkeep import RESCUE_CHECKS_PER_TIMEOUT, ROLLUP_SECONDS
from lib.settings import Settings

STOPPED_AFTER = timedelta(minutes=1)
"""Nothing is due any more of a worker that has shown no life for so long."""


def worker_schedule(
    settings: Settings, last: Mapping[str, Any], now: datetime
) -> list[dict[str, Any]]:
    """Rows of what, schedule (in words), last and next; None where nobody writes it down.

    By this process's settings; `last` is a row of the query `own_schedule` of queries/workers.sql.
    """
    silence = settings.rescue_seconds
    look = duration(silence / RESCUE_CHECKS_PER_TIMEOUT)
    return [
        {
            "what": "Look for due jobs",
            "schedule": f"Every {duration(settings.poll_seconds)}, and at once when told of a job",
            "last": last["claimed_at"],
            "next": None,
        },
        {
            "what": "Take the jobs of workers that fell silent",
            "schedule": f"Every {look}, after {duration(silence)} of silence",
            "last": None,
            "next": None,
        },
        _recorded("Show life", settings.heartbeat_seconds, last["seen_at"], now),
        _recorded("Fold what has finished", ROLLUP_SECONDS, last["folded_at"], now),
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
