"""Actions on selected jobs: retry, cancel, reset."""

from collections.abc import Callable, Sequence
from uuid import UUID

import streamlit as st

from lib.database import Pool
from lib.formats import plural
from lib.queue.operator_actions import cancel_jobs, in_batches, reset_stuck_jobs, retry_jobs
from lib.ui.confirm import Action
from lib.ui.dashboard import actor, pool


def retry(job_ids: Sequence[UUID], advice: str = "") -> Action:
    """Retry failed or cancelled jobs; `advice` says whether a retry is likely to help."""
    return Action(
        "Retry jobs",
        f"Puts {plural(len(job_ids))} back on the queue, each with at least one more attempt,"
        f" spread over up to a minute.{advice and f' {advice}'} A job that has changed meanwhile,"
        " or whose generation has another job that waits or runs, is left alone.",
        f"Retry {plural(len(job_ids))}",
        lambda: _in_batches(retry_jobs, job_ids, "put back on the queue"),
    )


def cancel(job_ids: Sequence[UUID]) -> Action:
    """Cancel pending and running jobs."""
    return Action(
        "Cancel jobs",
        f"Cancels {plural(len(job_ids))} for good: no further attempt is made, and the worker of a"
        " running one drops it when it next shows life. What has ended meanwhile is left alone.",
        f"Cancel {plural(len(job_ids))}",
        lambda: _in_batches(cancel_jobs, job_ids, "cancelled"),
        decline="Keep",
    )


def reset(job_ids: Sequence[UUID]) -> Action:
    """Reset stuck jobs to pending."""

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


def _in_batches(
    action: Callable[[Pool, str, Sequence[UUID]], list[UUID]], job_ids: Sequence[UUID], done: str
) -> str:
    bar = st.progress(0.0, "At work")
    changed = in_batches(action, pool(), actor(), job_ids, bar.progress)
    unchanged = len(job_ids) - changed
    return f"{plural(changed)} {done}." + (f" {plural(unchanged)} left alone." if unchanged else "")
