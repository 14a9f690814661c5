"""Confirmation dialogs of actions on jobs: retry, cancel, reset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import streamlit as st

from lib.database import Pool
from lib.formats import plural
from lib.ops.action_texts import (
    BACK,
    CANCELLED,
    JobStatus,
    cancel_effect,
    keep_label,
    outcome,
    reset_effect,
    retry_effect,
)
from lib.queue.operator_actions import (
    cancel_jobs,
    in_batches,
    reset_stuck_jobs,
    retry_jobs,
    set_priority,
)
from lib.ui.confirm import Action
from lib.ui.dashboard import actor, pool


@dataclass(frozen=True, slots=True)
class Matching:
    """The jobs that `act` selects itself once it runs; `count` is their number at present."""

    count: int
    act: Callable[[Pool, str], list[UUID]]


def retry(job_ids: Sequence[UUID], advice: str = "") -> Action:
    """Retry failed or cancelled jobs; `advice` says whether a retry is likely to help."""
    return _action("Retry", job_ids, f"{retry_effect(len(job_ids))} {advice}", retry_jobs, BACK)


def cancel(jobs: Sequence[UUID] | Matching, status: JobStatus = "live", advice: str = "") -> Action:
    """Cancel jobs of a status; "live" means pending and running."""
    effect = f"{cancel_effect(_count(jobs), status)} {advice}"
    decline = keep_label(_count(jobs))
    return _action("Cancel", jobs, effect, cancel_jobs, CANCELLED, decline=decline)


def reset(jobs: Sequence[UUID] | Matching) -> Action:
    """Reset stuck jobs to pending."""
    effect = reset_effect(_count(jobs))
    return _action("Reset", jobs, effect, reset_stuck_jobs, BACK, one="stuck job")


def raise_priority(job_id: UUID, before: int, after: int) -> Action:
    """Raise the priority of a pending job."""

    def run() -> str:
        return outcome(
            "given a higher priority", len(set_priority(pool(), actor(), [job_id], after)), 1
        )

    effect = f"Raises the priority from {before} to {after}. Higher priorities are claimed first."
    return Action("Raise priority", effect, "Raise priority", run)


def _action(
    verb: str,
    jobs: Sequence[UUID] | Matching,
    effect: str,
    act: Callable[[Pool, str, Sequence[UUID]], list[UUID]],
    done: str,
    decline: str = "Cancel",
    one: str = "job",
) -> Action:
    def run() -> str:
        if isinstance(jobs, Matching):
            return outcome(done, len(jobs.act(pool(), actor())))
        bar = st.progress(0.0, "In progress")
        changed = in_batches(act, pool(), actor(), jobs, bar.progress)
        return outcome(done, changed, len(jobs))

    button = f"{verb} {plural(_count(jobs), one)}"
    return Action(button, effect.rstrip(), button, run, decline)


def _count(jobs: Sequence[UUID] | Matching) -> int:
    return jobs.count if isinstance(jobs, Matching) else len(jobs)
