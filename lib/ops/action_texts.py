"""What retrying, cancelling and resetting jobs does, in the words of every dialog and step."""

from typing import Literal

from lib.formats import plural
from lib.queue.operator_actions import ALL_TYPES

JobStatus = Literal["pending", "running", "live"]
"""Which jobs an action selects; live ones are pending or running."""
CANCELLED, BACK, REPRIORITIZED = "cancelled", "put back on the queue", "given a new priority"
"""What happened to jobs, for `outcome`. A retry and a reset put them back."""
RETRY_ADVICE = {
    "helps": "A retry usually succeeds.",
    "after": "A retry succeeds only once the cause is fixed.",
    "useless": "A retry will most likely fail again.",
}
"""What retrying jobs is good for, by Guide.retry of lib.checks.error_guide."""


def keep_label(count: int) -> str:
    """The button that declines to cancel jobs; "Cancel" would be ambiguous."""
    return "Keep job" if count == 1 else "Keep jobs"


def pausable(job_type: str) -> str:
    """What a pause stops, as the object of a button: "queue" or "generate-image jobs"."""
    return "queue" if job_type == ALL_TYPES else f"{job_type} jobs"


def pause_effect(job_type: str) -> str:
    """The effect of pausing a job type, or all of them."""
    which = "jobs until someone resumes the queue"
    if job_type != ALL_TYPES:
        which = f"{job_type} jobs until someone resumes them"
    return f"Workers stop claiming {which}. Running jobs are not affected."


def paused(job_type: str) -> str:
    """Report of a pause."""
    return "Queue paused." if job_type == ALL_TYPES else f"{job_type} jobs paused."


def resume_effect(job_type: str, pending: int | None = None) -> str:
    """The effect of resuming a job type, or all of them; `pending` jobs wait for it, if known."""
    count = "" if pending is None else f" ({pending:,} pending)"
    if job_type == ALL_TYPES:
        return f"Workers claim jobs again{count}. Pauses of individual job types remain."
    return f"Workers claim {job_type} jobs again{count}."


def resumed(job_type: str, lifted: bool) -> str:
    """Report of resuming; `lifted` is whether there was a pause."""
    if job_type == ALL_TYPES:
        return "Queue resumed." if lifted else "The queue was already resumed."
    return f"{job_type} jobs {'resumed' if lifted else 'were already resumed'}."


def retry_effect(count: int) -> str:
    """The effect of retrying failed or cancelled jobs."""
    if count == 1:
        return (
            "Puts 1 job back on the queue within a minute, with at least one more attempt. It is"
            " not affected if it has changed in the meantime, or if its generation has another"
            " pending or running job."
        )
    return (
        f"Puts {plural(count)} back on the queue, each with at least one more attempt, spread over"
        " up to a minute. Jobs that have changed in the meantime, or whose generation has another"
        " pending or running job, are not affected."
    )


def cancel_effect(count: int, status: JobStatus = "live") -> str:
    """The effect of cancelling jobs of a status."""
    match status:
        case "pending":
            return f"Cancels {plural(count, 'pending job')}. Running jobs are not affected."
        case "running":
            return (
                f"Cancels {plural(count, 'running job')}. Running jobs stop at the next heartbeat"
                " of their worker."
            )
        case "live":
            return (
                f"Cancels {plural(count)}. Running jobs stop at the next heartbeat of their"
                " worker; jobs that have ended in the meantime are not affected."
            )


RESET_ADVICE = "Reset only after the worker has stopped; otherwise a job may run twice."
CHECK_AND_RESET = (
    "Check that the worker has stopped, then reset the stuck jobs. A job whose worker is still"
    " running may run twice."
)


def reset_effect(count: int) -> str:
    """The effect of resetting stuck jobs."""
    return (
        f"Puts {plural(count, 'stuck job')} back on the queue; attempts stay unchanged. Jobs"
        f" with a new heartbeat are not affected. {RESET_ADVICE}"
    )


def priority_effect(count: int) -> str:
    """The effect of changing the priority of pending jobs."""
    return (
        f"Changes the priority of {plural(count, 'pending job')}. Higher priorities run first."
        " Running jobs are not affected."
    )


def outcome(done: str, changed: int, selected: int | None = None) -> str:
    """Report of an action; `selected` is the number of jobs that it was to change, if known."""
    text = f"{plural(changed)} {done}."
    left = 0 if selected is None else selected - changed
    return f"{text} {plural(left)} not affected." if left else text
