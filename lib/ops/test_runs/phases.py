"""Where a job of a test run is, in words."""

from collections.abc import Mapping
from typing import Any

from lib.formats import duration

STORING_PERCENT = 95
"""The progress at which the worker has the image and stores it."""
LIVE = ("queued", "processing")
PHASES = (
    "Scheduled", "Queued", "Starting", "Running", "Storing", "Completed", "Failed", "Cancelled",
)  # fmt: skip

Job = Mapping[str, Any]
"""A row of the query `jobs` of queries/generate.sql."""


def phase(job: Job) -> str:
    """One of PHASES.

    Starting: a worker has it, the provider not yet. Running: the provider has it. Storing: the
    image is on its way to where it is kept.
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
    """Where a waiting job is in the queue; empty for any other."""
    if job["status"] != "queued":
        return ""
    if job["due_in_seconds"] > 0:
        again = f", attempt {job['attempts'] + 1}" if job["attempts"] else ""
        return f"due in {duration(job['due_in_seconds'])}{again}"
    match job["ahead"]:
        case None:
            return "behind more than 1,000 jobs"
        case 0:
            return "next in line"
        case ahead:
            return f"behind {ahead:,} {'job' if ahead == 1 else 'jobs'}"


def timings(job: Job, usual: float | None) -> str:
    """How long it waited and runs or ran, against what its model usually takes."""
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
    """Whether it runs for more than three times as long as usual, and 10 seconds at least."""
    return (
        job["status"] == "processing"
        and usual is not None
        and (job["run_seconds"] or 0) > max(3 * usual, 10)
    )
