"""Explain in one sentence why a job is in its current state."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.formats import duration
from lib.ops.conditions import (
    FREE_STORAGE,
    START_WORKER,
    no_worker,
    paused,
    provider_down,
    rate_limited,
    storage_failed,
)

MAX_COUNTED_AHEAD = 1_000
"""The query counts jobs ahead in line only up to this limit."""

Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobState:
    """A job's state. `sentence` quotes errors and names: render it as text, not Markdown.

    `level`: "done"; "underway", nothing to do; "held", delayed by something that resolves by
    itself, or cancelled; "act", an operator has to intervene.
    """

    level: Literal["done", "underway", "held", "act"]
    sentence: str


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
            return JobState("held", _short(job["error_message"]) or "Cancelled; nobody said why.")
        case _:
            return JobState("act", _failed(job))


def _pending(job: Job) -> JobState:
    due_in, held = job["due_in_seconds"], job["held_seconds"]
    if job["pause_type"]:
        return JobState("act", _paused(job))
    if held is not None:
        return JobState(
            "held",
            rate_limited(job["model_id"], held, _short(job["hold_reason"])),
        )
    if due_in > 0 and job["attempts"]:
        return JobState(
            "held",
            f"Tries again in {duration(due_in)}: attempt {_attempt(job)} ended with:"
            f" {_short(job['error_message']) or 'no error'}",
        )
    if due_in > 0:
        return JobState("held", f"Waits for its time: due in {duration(due_in)}.")
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
    return f"{text} Resume it on the Overview."


def _provider_down(job: Job) -> str:
    reason = _short(job["down_reason"])
    return provider_down(job["provider"], job["down_seconds"], reason, job["probe_in_seconds"])


def _in_line(job: Job) -> str:
    due, ahead = duration(-job["due_in_seconds"]), job["ahead"]
    if ahead > MAX_COUNTED_AHEAD:
        return f"Due for {due}, behind more than {MAX_COUNTED_AHEAD:,} jobs."
    if ahead == 0:
        return f"Due for {due}, and next in line."
    return f"Due for {due}, behind {ahead:,} {'job' if ahead == 1 else 'jobs'}."


def _running(job: Job) -> JobState:
    running = f"Running for {duration(job['run_seconds'])}, attempt {_attempt(job)}"
    silent = duration(job["silent_seconds"])
    if job["silent_seconds"] > job["stuck_after_seconds"]:
        return JobState("act", f"Stuck. {running}, no heartbeat for {silent}.")
    if not job["leased"]:
        return JobState("held", f"{running}; no worker has said that it works on it.")
    worker = job["worker"] or "a worker that is not registered"
    return JobState("underway", f"{running}, by {worker}; last heartbeat {silent} ago.")


def _completed(job: Job) -> str:
    if job["run_seconds"] is None:
        return "Completed; nobody wrote down when it started."
    attempts = "at its first attempt" if job["attempts"] <= 1 else f"at attempt {job['attempts']}"
    return f"Completed in {duration(job['run_seconds'])}, {attempts}."


def _failed(job: Job) -> str:
    error = _short(job["error_message"]) or "nobody wrote down why."
    if job["permanent"]:
        return f"Failed for good, because this error does not go away by trying again: {error}"
    return f"Failed after attempt {_attempt(job)}: {error}"


def _attempt(job: Job) -> str:
    return f"{job['attempts']} of {job['max_attempts']}"


def _short(text: str | None) -> str:
    return textwrap.shorten(text or "", 240, placeholder=" …")
