"""Health of the queue: every problem, most severe first."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from lib.formats import duration, plural
from lib.ops import conditions
from lib.ops.alerts.rules import RULES, describe
from lib.queue.queue_state import QueueState

COVERED_RULES = (
    "no_worker", "provider_down", "oldest_pending", "failure_rate", "queue_paused", "stuck_jobs",
)  # fmt: skip
"""Alert rules that the checks below cover; the other rules are reported only while they fire."""
LEVEL_LABELS = {"good": "All good", "warning": "Warning", "critical": "Critical"}
"""Label of each level."""

Level = Literal["good", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A problem with the queue.

    `name` identifies the check, or the alert rule. `reason` is a sentence that may quote a provider
    or an operator. `page` is the module name of a page with details, if any. `since` is when it
    began, None if unknown. `resolving` means that the figure is low enough again.
    """

    name: str
    level: Literal["warning", "critical"]
    reason: str
    page: str | None = None
    since: datetime | None = None
    resolving: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Overall health, with every current problem, most severe first.

    `level` and `reason` are those of the most severe condition; without conditions the level is
    "good" and `reason` says what is going well.
    """

    level: Level
    reason: str
    conditions: tuple[Condition, ...] = ()

    @property
    def short(self) -> str:
        """Label of the level with its number of conditions, such as "Critical (2)"."""
        worst = sum(condition.level == self.level for condition in self.conditions)
        return f"{LEVEL_LABELS[self.level]} ({worst})" if worst else LEVEL_LABELS[self.level]

    def level_of(self, names: Collection[str]) -> Level:
        """The worst level of the conditions with one of these names that are not resolving."""
        levels = {
            condition.level
            for condition in self.conditions
            if condition.name in names and not condition.resolving
        }
        return "critical" if "critical" in levels else "warning" if levels else "good"


def verdict(now: QueueState) -> Verdict:
    """Assess the row of the query `now` in queries/overview.sql."""
    found = [condition for check in CHECKS for condition in check(now)]
    found.sort(key=lambda condition: condition.level != "critical")
    if found:
        return Verdict(found[0].level, found[0].reason, tuple(found))
    return Verdict("good", _good(now))


def _good(now: QueueState) -> str:
    if now["last_hour_completed"]:
        p95 = now["wait_p95"]
        wait = "" if p95 is None else f", p95 wait {duration(p95)}"
        return f"{now['last_hour_completed']:,} completed in the last hour{wait}."
    if now["rate_limited"] and not (now["due"] or now["processing"]):
        return conditions.rate_limited_jobs(now["rate_limited"], now["held_models"])
    if now["pending"] or now["processing"]:
        return f"{plural(now['pending'])} pending, {now['processing']:,} running."
    seconds = now["last_completion_seconds"]
    last = "" if seconds is None else f" Last completion {duration(seconds)} ago."
    return f"The queue is empty and a worker is ready.{last}"


def no_worker(now: QueueState) -> list[Condition]:
    """No worker is alive to claim jobs."""
    if now["workers_alive"]:
        return []
    silent = now["worker_seen_seconds"]
    level = _level(now, "no_worker") if silent > _threshold(now, "no_worker") else "warning"
    reason = conditions.no_worker(silent, now["due"], now["oldest_due_seconds"])
    text = f"{reason} {conditions.START_WORKER}"
    return [Condition("no_worker", level, text, since=_before(silent))]


def unhandled_types(now: QueueState) -> list[Condition]:
    """Job types with due jobs that no worker alive runs."""
    return [
        Condition(
            "unhandled_types",
            _level(now, "no_worker")
            # Users' jobs of a type that no worker runs must not page an operator.
            if found["expected"] and found["seconds"] > _threshold(now, "no_worker")
            else "warning",
            f"{conditions.no_worker(None, found['due'], found['seconds'], found['job_type'])}"
            f" {conditions.HANDLE_TYPE}",
            since=_before(found["seconds"]),
        )
        for found in now["unhandled"]
    ]


def provider_down(now: QueueState) -> list[Condition]:
    """Providers whose circuit breaker is open."""
    return [
        Condition(
            "provider_down",
            _level(now, "provider_down"),
            conditions.provider_down(
                down["provider"],
                down["seconds"],
                down["reason"],
                down["retry_seconds"],
                now["pending"] or None,
            ),
            since=_before(down["seconds"]),
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
            since=_fired(now, "oldest_pending"),
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
    reason, level = conditions.failure_rate(failed, ended), _level(now, "failure_rate")
    return [Condition("many_failures", level, reason, since=_fired(now, "failure_rate"))]


def paused(now: QueueState) -> list[Condition]:
    """Job types that are paused."""
    if not now["paused"]:
        return []
    reasons = [
        conditions.paused(pause["job_type"], pause["seconds"], pause["by"], pause["reason"])
        for pause in now["paused"]
    ]
    since = _before(max(pause["seconds"] for pause in now["paused"]))
    return [Condition("paused", "warning", " ".join(reasons), since=since)]


def stuck(now: QueueState) -> list[Condition]:
    """Running jobs without a recent heartbeat."""
    if now["stuck"] <= _threshold(now, "stuck_jobs"):
        return []
    reason, level = conditions.stuck(now["stuck"], now["stuck_seconds"]), _level(now, "stuck_jobs")
    # The reason says since when; the alert began later.
    return [Condition("stuck", level, reason)]


def alerts(now: QueueState) -> list[Condition]:
    """Firing alerts that no other check covers."""
    return [
        Condition(
            alert["rule"],
            _level(now, alert["rule"]),
            describe(alert)
            if alert["calm_since"]
            else f"{describe(alert)} {RULES[alert['rule']].todo}",
            since=datetime.fromisoformat(alert["began_at"]),
            resolving=alert["calm_since"] is not None,
        )
        for alert in now["alerts"]
        if alert["rule"] not in COVERED_RULES
    ]


CHECKS = (
    no_worker, unhandled_types, provider_down, waits_too_long, many_failures, paused, stuck, alerts,
)  # fmt: skip
"""Conditions of the same level are listed in this order."""


def _threshold(now: QueueState, rule: str) -> float:
    """Threshold of an alert rule."""
    return float(now["rules"][rule]["limit"])


def _level(now: QueueState, rule: str) -> Literal["warning", "critical"]:
    return "critical" if now["rules"][rule]["critical"] else "warning"


def _before(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _fired(now: QueueState, rule: str) -> datetime | None:
    """When what the firing alert of a rule is about began; None while it does not fire."""
    firing = (alert["began_at"] for alert in now["alerts"] if alert["rule"] == rule)
    began = next(firing, None)
    return None if began is None else datetime.fromisoformat(began)


def _ended(now: QueueState) -> int:
    """Jobs completed or failed in the last hour; cancelled jobs do not count."""
    return int(now["last_hour_completed"] + now["last_hour_failed"])
