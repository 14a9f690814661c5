"""Progress of a test run's jobs, in words."""

from collections.abc import Mapping
from typing import Any

from lib.formats import duration

STORING_PERCENT = 95
"""Progress at which the worker has the image and stores it."""
LIVE = ("queued", "processing")
PHASES = (
    "Scheduled", "Queued", "Starting", "Running", "Storing", "Completed", "Failed", "Cancelled",
)  # fmt: skip

Job = Mapping[str, Any]
"""A row of the query `jobs` of queries/generate.sql."""


def phase(job: Job) -> str:
    """One of PHASES.

    Starting: claimed by a worker, but not sent to the provider yet. Running: the provider works on
    it. Storing: the worker stores the image.
    """
    match job["status"]:
        case "queued":
            return "Scheduled" if job["due_in_seconds"] > 0 else "Queued"
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


def timings(job: Job, usual: float | None) -> str:
    """Wait and run time, compared with the usual run time of the model (in seconds)."""
    parts = [
        f"{'waits' if job['status'] == 'queued' else 'waited'} {duration(job['wait_seconds'])}"
    ]
    if job["run_seconds"] is not None:
        runs = "runs" if job["status"] == "processing" else "ran"
        parts.append(f"{runs} {duration(job['run_seconds'])}")
    if usual is not None and job["status"] in (*LIVE, "completed"):
        parts[-1] += f" (usually {'runs ' if job['status'] == 'queued' else ''}{duration(usual)})"
    if job["status"] not in LIVE:
        parts.append(f"total {duration(job['total_seconds'])}")
    return ", ".join(parts)


def overdue(job: Job, usual: float | None) -> bool:
    """Whether a job has run more than three times as long as usual, and over 10 seconds."""
    return (
        job["status"] == "processing"
        and usual is not None
        and (job["run_seconds"] or 0) > max(3 * usual, 10)
    )
