"""Progress of a test run's jobs, in words."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lib.formats import duration

STORING_PERCENT = 95
"""Progress at which the worker has the image and stores it."""
LIVE = ("queued", "processing")
PHASES = (
    "Scheduled", "Pending", "Starting", "Running", "Storing", "Completed", "Failed", "Cancelled",
)  # fmt: skip

Job = Mapping[str, Any]
"""A row of the query `jobs` of queries/generate.sql."""


def phase(job: Job) -> str:
    """One of PHASES.

    Starting: claimed by a worker, but not sent to the provider yet. Running: at the provider.
    Storing: the worker stores the image.
    """
    match job["status"]:
        case "queued":
            return "Scheduled" if job["due_in_seconds"] > 0 else "Pending"
        case "processing":
            if job["progress"] >= STORING_PERCENT:
                return "Storing"
            return "Running" if job["predicted"] else "Starting"
        case ended:
            return str(ended).capitalize()


def queue_position(job: Job) -> str:
    """Position of a pending job in the queue; empty for any other."""
    if job["status"] != "queued":
        return ""
    if job["due_in_seconds"] > 0:
        again = f", attempt {job['attempts'] + 1}" if job["attempts"] else ""
        return f"due in {duration(job['due_in_seconds'])}{again}"
    if job["rate_limited"]:
        return "rate-limited"
    match job["ahead"]:
        case None:
            return "behind more than 1,000 jobs"
        case 0:
            return "next in line"
        case ahead:
            return f"behind {ahead:,} {'job' if ahead == 1 else 'jobs'}"


def overdue(job: Job, usual: float | None) -> bool:
    """Whether a job has run more than three times as long as usual, and over 10 seconds."""
    return (
        job["status"] == "processing"
        and usual is not None
        and (job["run_seconds"] or 0) > max(3 * usual, 10)
    )


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the known values; None if there are none."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
