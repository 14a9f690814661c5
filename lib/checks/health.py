"""Health of the queue: every problem, most severe first."""

from dataclasses import dataclass
from typing import Literal

from lib.ops import conditions
from lib.ops.alerts.rules import RULES
from lib.queue.operator_actions import ALL_TYPES
from lib.queue.queue_state import QueueState

COVERED_RULES = (
    "no_worker", "provider_down", "oldest_pending", "failure_rate", "queue_paused", "stuck_jobs",
)  # fmt: skip
"""Alert rules that the checks below cover; the other rules are reported only while they fire."""
LEVEL_LABELS = {"good": "Healthy", "warning": "Warning", "critical": "Critical"}
"""Label of each level."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A problem with the queue.

    `name` identifies the check. `level` is "critical" or "warning". `reason` is a
    sentence that may quote a provider or an operator. `page` is the module name of the page with
    details; None for the Overview itself.
    """

    name: str
    level: Literal["warning", "critical"]
    reason: str
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Overall health, with every current problem, most severe first.

    `level` and `reason` are those of the most severe condition; without conditions the level is
    "good" and `reason` says what is going well.
    """

    level: Literal["good", "warning", "critical"]
    reason: str
    conditions: tuple[Condition, ...] = ()

    @property
    def short(self) -> str:
        """Label of the level with its number of conditions, such as "Critical (2)"."""
        worst = sum(condition.level == self.level for condition in self.conditions)
        return f"{LEVEL_LABELS[self.level]} ({worst})" if worst else LEVEL_LABELS[self.level]


def verdict(now: QueueState) -> Verdict:
    """Assess the row of the query `now` in queries/overview.sql."""
    found = [condition for check in CHECKS for condition in check(now)]
    found.sort(key=lambda condition: condition.level != "critical")
    if found:
        return Verdict(found[0].level, found[0].reason, tuple(found))
    if now["rate_limited"] and not (now["due"] or now["processing"]):
        reason = conditions.rate_limited_jobs(now["rate_limited"], now["held_models"])
        return Verdict("good", reason)
    if not (_ended(now) or now["due"] or now["processing"]):
        return Verdict("good", "No pending jobs; a worker is ready.")
    return Verdict("good", "Jobs are being picked up and completed.")


def no_worker(now: QueueState) -> list[Condition]:
    """No worker is alive to claim jobs."""
    if now["workers_alive"]:
        return []
    silent = now["worker_seen_seconds"]
    level = _level(now, "no_worker") if silent > _threshold(now, "no_worker") else "warning"
    reason = conditions.no_worker(silent, now["due"], now["oldest_due_seconds"])
    return [Condition("no_worker", level, f"{reason} {conditions.START_WORKER}", "workers")]


def provider_down(now: QueueState) -> list[Condition]:
    """Providers whose circuit breaker is open."""
    return [
        Condition(
            "provider_down",
            _level(now, "provider_down"),
            conditions.provider_down(down["provider"], down["seconds"], down["reason"]),
            "failures",
        )
        for down in now["down"]
    ]


def waits_too_long(now: QueueState) -> list[Condition]:
    """The oldest pending job exceeds the wait threshold although workers are alive."""
    if not now["workers_alive"]:
        return []
    waits = [
        (now["due"], now["oldest_due_seconds"], []),
        (now["rate_limited"], now["oldest_rate_limited_seconds"], now["held_models"]),
    ]
    return [
        Condition(
            "waits_too_long",
            _level(now, "oldest_pending"),
            conditions.long_wait(seconds, conditions.cannot_keep_up(models)),
            "throughput",
        )
        for jobs, seconds, models in waits
        if jobs and seconds > _threshold(now, "oldest_pending")
    ]


def many_failures(now: QueueState) -> list[Condition]:
    """The failure rate of the last hour exceeds its threshold."""
    ended, failed = _ended(now), now["last_hour_failed"]
    if ended < now["rules"]["failure_rate"]["minimum"]:
        return []
    if failed / ended <= _threshold(now, "failure_rate"):
        return []
    reason = conditions.failure_rate(failed, ended)
    return [Condition("many_failures", _level(now, "failure_rate"), reason, "failures")]


def paused(now: QueueState) -> list[Condition]:
    """Job types that are paused."""
    reasons = [
        conditions.paused(pause["job_type"], pause["seconds"], pause["by"], pause["reason"])
        for pause in now["paused"]
    ]
    return [Condition("paused", "warning", " ".join(reasons))] if reasons else []


def stuck(now: QueueState) -> list[Condition]:
    """Running jobs without a recent heartbeat."""
    if now["stuck"] <= _threshold(now, "stuck_jobs"):
        return []
    reason = conditions.stuck(now["stuck"])
    return [Condition("stuck", _level(now, "stuck_jobs"), reason, "stuck_jobs")]


def alerts(now: QueueState) -> list[Condition]:
    """Firing alerts that no other check covers."""
    return [
        Condition(
            alert["rule"],
            _level(now, alert["rule"]),
            RULES[alert["rule"]].describe(alert),
            "alerts",
        )
        for alert in now["alerts"]
        if alert["rule"] not in COVERED_RULES
    ]


CHECKS = (no_worker, provider_down, waits_too_long, many_failures, paused, stuck, alerts)
"""Conditions of the same level are listed in this order."""


def type_name(job_type: str) -> str:
    """A job type as it appears in a sentence."""
    return "all jobs" if job_type == ALL_TYPES else job_type


def _threshold(now: QueueState, rule: str) -> float:
    """Threshold of an alert rule."""
    return float(now["rules"][rule]["limit"])


def _level(now: QueueState, rule: str) -> Literal["warning", "critical"]:
    return "critical" if now["rules"][rule]["critical"] else "warning"


def _ended(now: QueueState) -> int:
    """Jobs completed or failed in the last hour; cancelled jobs do not count."""
    return int(now["last_hour_completed"] + now["last_hour_failed"])
