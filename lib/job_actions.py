"""What operators are asked before they retry, cancel or reset jobs that they picked."""

from collections.abc import Sequence
from uuid import UUID

from lib.actions import cancel_jobs, reset_stuck_jobs, retry_jobs
from lib.confirm import Action, plural
from lib.dashboard import actor, pool


def retry(job_ids: Sequence[UUID]) -> Action:
    """Failed and cancelled jobs back on the queue."""

    def run() -> str:
        return f"{plural(len(retry_jobs(pool(), actor(), job_ids)))} put back on the queue."

    return Action(
        "Retry jobs",
        f"Puts {plural(len(job_ids))} back on the queue with at least one more attempt. A job whose"
        " generation has another job that waits or runs is left alone.",
        f"Retry {plural(len(job_ids))}",
        run,
    )


def cancel(job_ids: Sequence[UUID]) -> Action:
    """Waiting and running jobs ended."""

    def run() -> str:
        return f"{plural(len(cancel_jobs(pool(), actor(), job_ids)))} cancelled."

    return Action(
        "Cancel jobs",
        f"Cancels {plural(len(job_ids))}. The worker of a running one drops it when it next shows"
        " life. What has ended meanwhile stays as it is.",
        f"Cancel {plural(len(job_ids))}",
        run,
        decline="Keep",
    )


def reset(job_ids: Sequence[UUID]) -> Action:
    """Stuck jobs back on the queue."""

    def run() -> str:
        done = reset_stuck_jobs(pool(), actor(), job_ids)
        return f"{plural(len(done))} put back on the queue."

    return Action(
        "Reset stuck jobs",
        f"Puts {plural(len(job_ids))} back on the queue. Attempts stay as they are, and a job whose"
        " worker has answered meanwhile is left alone.",
        f"Reset {plural(len(job_ids))}",
        run,
    )
