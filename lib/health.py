"""Is the queue healthy? What an operator reads first: everything that is wrong, the worst first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.actions import ALL_TYPES
from lib.formats import duration, share

# The deployment guide's alert on failures: more than a tenth, counted once there are enough.
FAILURE_SHARE, FAILURE_MINIMUM = 0.1, 10
OLDEST_DUE_SECONDS = 300
# Without a long-lived worker, cron wakes one every minute.
CRON_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong.

    `name` is that of its check. `level` is what to do about it: look soon, or act. `reason` says
    what is wrong, in a sentence; it may quote a provider or an operator. `page` is the file of the
    page that explains it, None for the overview itself.
    """

    name: str
    level: Literal["look", "act"]
    reason: str
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All conditions that hold, the worst first; none when all is well.

    `level` is that of the worst, `reason` its sentence, or one that says why all is well.
    """

    level: Literal["good", "look", "act"]
    reason: str
    conditions: tuple[Condition, ...] = ()


def verdict(now: Mapping[str, Any]) -> Verdict:
    """The verdict on one row of the overview's `now` query."""
    found = [condition for check in CHECKS for condition in check(now)]
    found.sort(key=lambda condition: condition.level != "act")
    if found:
        return Verdict(found[0].level, found[0].reason, tuple(found))
    if not (_ended(now) or now["due"] or now["processing"]):
        return Verdict("good", "Nothing waits, and a worker is ready.")
    return Verdict("good", "Jobs are picked up and finished.")


def no_worker(now: Mapping[str, Any]) -> list[Condition]:
    """Nobody is there to claim jobs."""
    if now["workers_alive"]:
        return []
    if now["due"] and now["oldest_due_seconds"] > CRON_SECONDS:
        return [
            Condition(
                "no_worker",
                "act",
                f"No worker is alive, and due jobs wait ({now['due']:,}), the longest for"
                f" {duration(now['oldest_due_seconds'])}: start a worker.",
                "workers",
            )
        ]
    reason = "Nothing has waited for long, but no worker is alive."
    return [Condition("no_worker", "look", reason, "workers")]


def provider_down(now: Mapping[str, Any]) -> list[Condition]:
    """Breakers that are open."""
    return [
        Condition(
            "provider_down",
            "act",
            f"The provider {down['provider']} has been down for {duration(down['seconds'])}: its"
            f" jobs wait until it answers again. {down['reason'] or ''}".rstrip(),
            "failures",
        )
        for down in now["down"]
    ]


def waits_too_long(now: Mapping[str, Any]) -> list[Condition]:
    """Due jobs that workers could claim, and do not."""
    if not (now["workers_alive"] and now["due"] and now["oldest_due_seconds"] > OLDEST_DUE_SECONDS):
        return []
    models = ", ".join(now["held_models"])
    why = (
        f"workers cannot keep up, or must not: the provider limits the rate of {models}."
        if models
        else "workers cannot keep up."
    )
    waited = duration(now["oldest_due_seconds"])
    reason = f"A due job has waited for {waited}: {why}"
    return [Condition("waits_too_long", "act", reason, "throughput")]


def many_failures(now: Mapping[str, Any]) -> list[Condition]:
    """Too large a share of the last hour's jobs failed."""
    ended, failed = _ended(now), now["last_hour_failed"]
    if ended < FAILURE_MINIMUM or failed / ended <= FAILURE_SHARE:
        return []
    reason = f"{share(failed, ended)} of the last hour's jobs failed ({failed:,} of {ended:,})."
    return [Condition("many_failures", "act", reason, "failures")]


def paused(now: Mapping[str, Any]) -> list[Condition]:
    """Types of jobs whose claiming an operator has stopped."""
    if not now["paused"]:
        return []
    types = ", ".join(
        f"{type_name(pause['job_type'])} (for {duration(pause['seconds'])}, by {pause['by']}"
        + (f": {pause['reason']})" if pause["reason"] else ")")
        for pause in now["paused"]
    )
    return [Condition("paused", "look", f"The claiming of {types} is paused.")]


def stuck(now: Mapping[str, Any]) -> list[Condition]:
    """Jobs whose worker has gone silent."""
    if not now["stuck"]:
        return []
    reason = f"{now['stuck']:,} stuck: no worker has shown life for them."
    return [Condition("stuck", "look", reason, "stuck_jobs")]


CHECKS = (no_worker, provider_down, waits_too_long, many_failures, paused, stuck)
"""In the order in which conditions of one level are listed."""


def type_name(job_type: str) -> str:
    """A type of jobs in a sentence."""
    return "all jobs" if job_type == ALL_TYPES else job_type


def _ended(now: Mapping[str, Any]) -> int:
    """Jobs of the last hour that say something about its success."""
    return int(now["last_hour_completed"] + now["last_hour_failed"])
