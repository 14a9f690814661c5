"""What retrying, cancelling and resetting jobs does, in the words of every dialog and step."""

from typing import Literal

from lib.formats import plural

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


def retry_effect(count: int) -> str:
    """The effect of retrying failed or cancelled jobs."""
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
                f"Cancels {plural(count, 'running job')}. Each stops at the next heartbeat of its"
                " worker."
            )
        case "live":
            return (
                f"Cancels {plural(count)}. Running jobs stop at the next heartbeat of their"
                " worker; jobs that have ended in the meantime are not affected."
            )


RESET_ADVICE = "Reset them only after their worker has stopped; otherwise they may run twice."


def reset_effect(count: int) -> str:
    """The effect of resetting stuck jobs."""
    return (
        f"Puts {plural(count, 'stuck job')} back on the queue with their attempts unchanged. Jobs"
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
