"""Explain why a job is in its current state, and what to do about it."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.checks.error_guide import guide
from lib.formats import duration, plural
from lib.ops.conditions import (
    FREE_STORAGE,
    START_WORKER,
    no_worker,
    paused,
    provider_down,
    rate_limited,
    storage_failed,
)

MAX_COUNTED_AHEAD = 50
"""The query counts jobs ahead in line only up to this limit, and one more."""

Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobState:
    """A job's state. `sentence` quotes errors and names: render it as text, not Markdown.

    `level`: "done"; "underway", nothing to do; "held", delayed by something that resolves by
    itself, or cancelled; "refused", the user has to change the request; "act", an operator has to
    intervene. `advice` says what to do about an
    error. With `change_first` the same request is likely to fail again, without `retry_helps` it
    certainly will.
    """

    level: Literal["done", "underway", "held", "refused", "act"]
    sentence: str
    advice: str = ""
    change_first: bool = False
    retry_helps: bool = True


def job_state(job: Job) -> JobState:
    """Explain the state of a job, a row of the query `job` in queries/job.sql."""
    match job["status"]:
        case "pending":
            return _pending(job)
        case "processing":
            return _running(job)
        case "completed":
            return JobState("done", _completed(job))
        case "cancelled":
            return JobState(
                "held", _short(job["error_message"]) or "Cancelled; no reason recorded."
            )
        case _:
            return _failed(job)


def is_stuck(job: Job) -> bool:
    """Whether it runs, but has sent no heartbeat for too long."""
    return bool(
        job["status"] == "processing" and job["silent_seconds"] > job["stuck_after_seconds"]
    )


def _pending(job: Job) -> JobState:
    due_in, held = job["due_in_seconds"], job["held_seconds"]
    if job["pause_type"]:
        return JobState("act", _paused(job))
    if held is not None:
        return JobState(
            "held",
            rate_limited(job["model_id"], held, _short(job["hold_reason"]), busy=job["hold_busy"]),
        )
    if due_in > 0 and job["attempts"]:
        error = _short(job["error_message"])
        return JobState(
            "held",
            f"Next attempt in {duration(due_in)}. Attempt {_attempt(job)}"
            f" {f'failed: {error}' if error else 'failed.'}",
        )
    if due_in > 0:
        return JobState("held", f"Pending, due in {duration(due_in)}.")
    if job["provider"]:
        return JobState("act", _provider_down(job))
    if not job["workers_alive"]:
        return JobState(
            "act",
            f"Pending for {duration(-due_in)}. {no_worker(job_type=job['job_type'])}"
            f" {START_WORKER}",
        )
    if job["storage_hosts"]:
        failing = storage_failed(
            job["storage_hosts"], job["storage_seconds"], _short(job["storage_error"])
        )
        return JobState("act", f"{failing} {FREE_STORAGE}")
    return JobState("underway", _in_line(job))


def _paused(job: Job) -> str:
    reason = _short(job["pause_reason"])
    text = paused(job["pause_type"], job["paused_seconds"], job["paused_by"], reason)
    return f"{text} Resume it on the Overview page."


def _provider_down(job: Job) -> str:
    reason = _short(job["down_reason"])
    return provider_down(job["provider"], job["down_seconds"], reason, job["probe_in_seconds"])


def _in_line(job: Job) -> str:
    pending, ahead = f"Pending for {duration(-job['due_in_seconds'])}", job["ahead"]
    if job["ahead_cut"] or ahead > MAX_COUNTED_AHEAD:
        return f"{pending}, behind at least {plural(min(ahead, MAX_COUNTED_AHEAD))}."
    return f"{pending}, behind {plural(ahead)}." if ahead else f"{pending}, next in line."


def _running(job: Job) -> JobState:
    running = f"Running for {duration(job['run_seconds'])}, attempt {_attempt(job)}"
    silent = duration(job["silent_seconds"])
    if is_stuck(job):
        return JobState(
            "act",
            f"Stuck: no heartbeat for {silent}. {running}.",
            "A reset makes it pending again, with its attempts unchanged. Reset it only if its"
            " worker has stopped; otherwise the job may run twice.",
        )
    if not job["leased"]:
        return JobState("held", f"{running}, without a worker's lease.")
    worker = job["worker"] or "an unregistered worker"
    return JobState("underway", f"{running}, on {worker}. Last heartbeat {silent} ago.")


def _completed(job: Job) -> str:
    if job["run_seconds"] is None:
        return "Completed. Its start was not recorded."
    attempts = "first attempt" if job["attempts"] <= 1 else f"attempt {job['attempts']}"
    return f"Completed in {duration(job['run_seconds'])}, {attempts}."


def _failed(job: Job) -> JobState:
    message = job["error_message"]
    found = guide(job["error_code"], message)
    if job["error_code"] == "refused" and message:
        # The sentence says what to do.
        return JobState("refused", _short(message), change_first=True, retry_helps=False)
    how = "permanently on" if job["permanent"] else "after"
    return JobState(
        "act",
        f"Failed {how} attempt {_attempt(job)}: {_short(message) or 'no error recorded.'}",
        found.todo,
        change_first=job["permanent"] or found.retry == "useless",
        retry_helps=found.retry != "useless",
    )


def _attempt(job: Job) -> str:
    return f"{job['attempts']} of {job['max_attempts']}"


def _short(text: str | None) -> str:
    return textwrap.shorten(text or "", 240, placeholder=" …")
