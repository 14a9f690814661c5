"""The alert rules: what each one measures and what to do when it fires."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.formats import duration, plural
from lib.ops import conditions
from lib.ops.action_texts import CHECK_AND_RESET

Alert = Mapping[str, Any]
"""A row of the table alerts; uses `rule`, `subject`, `value` and `detail`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Description of an alert rule.

    `measures` and `todo` are sentences, `unit` is the unit of the measured value, `page` the module
    name of the page with details. `describe` turns an alert into a sentence that may quote names of
    workers, providers, cron jobs and job types.
    """

    title: str
    unit: Literal["jobs", "seconds", "share", "runs", "errors"]
    measures: str
    todo: str
    page: str
    describe: Callable[[Alert], str]


def _worker_lost(alert: Alert) -> str:
    detail = alert["detail"]
    return conditions.worker_lost(detail["host"], detail["pid"], alert["value"], detail["jobs"])


def _seconds(sentence: Callable[[float], str]) -> Callable[[Alert], str]:
    """Describe an alert by its value alone."""
    return lambda alert: sentence(alert["value"])


RULES: Mapping[str, Rule] = {
    "no_worker": Rule(
        "No worker alive",
        "seconds",
        "Time since the last heartbeat of any worker or call to process-jobs.",
        conditions.CHECK_SCHEDULE_OR_START,
        "workers",
        _seconds(conditions.no_worker),
    ),
    "provider_down": Rule(
        "Provider down",
        "seconds",
        "Time since a provider's circuit breaker opened; its jobs stay pending.",
        "Check the provider's errors and status page. Pending jobs run once it responds again.",
        "failures",
        lambda alert: conditions.provider_down(alert["subject"], alert["value"]),
    ),
    "storage_failed": Rule(
        "Storage failing",
        "seconds",
        "Time since a worker's storage started rejecting images; jobs that need it stay pending.",
        conditions.FREE_STORAGE,
        "workers",
        lambda alert: conditions.storage_failed(
            alert["detail"]["hosts"], alert["value"], alert["detail"]["error"]
        ),
    ),
    "no_completion": Rule(
        "No completions",
        "seconds",
        "Time without a completed job while jobs are pending.",
        "Check that workers are alive and what they are running, then check the latest errors.",
        "throughput",
        _seconds(conditions.no_completion),
    ),
    "oldest_pending": Rule(
        "Oldest pending job",
        "seconds",
        "Wait of the oldest due job.",
        "Start more workers, or raise their concurrency.",
        "throughput",
        _seconds(conditions.long_wait),
    ),
    "failure_rate": Rule(
        "Failure rate",
        "share",
        "Failed jobs as a share of those that completed or failed in the last hour. Refused jobs"
        " are not counted.",
        "Open the most frequent error group and follow its advice.",
        "failures",
        lambda alert: conditions.failure_rate(alert["detail"]["failed"], alert["detail"]["ended"]),
    ),
    "worker_gone": Rule(
        "Worker lost",
        "seconds",
        "Time since the last heartbeat of a worker with running jobs.",
        "Check the worker's host, then restart the worker. Other workers take over its jobs. To"
        " release them now, reset the stuck jobs.",
        "workers",
        _worker_lost,
    ),
    "stuck_jobs": Rule(
        "Stuck jobs",
        "jobs",
        "Running jobs without a recent heartbeat.",
        CHECK_AND_RESET,
        "stuck_jobs",
        lambda alert: conditions.stuck(round(alert["value"])),
    ),
    "pending_jobs": Rule(
        "Pending jobs",
        "jobs",
        "Pending jobs, including retries in backoff, counted up to 10,000.",
        "Compare arrivals with completions, and start more workers if arrivals are higher.",
        "throughput",
        lambda alert: conditions.many_pending(
            round(alert["value"]), at_least=bool(alert["detail"].get("at_least"))
        ),
    ),
    "wait_p95": Rule(
        "p95 wait",
        "seconds",
        "95th percentile of the wait of the newest 5,000 jobs that ended in the last 15 min.",
        "Check when the wait began to grow, and start more workers.",
        "throughput",
        _seconds(conditions.high_wait_p95),
    ),
    "queue_paused": Rule(
        "Queue paused",
        "seconds",
        "Time since the queue or a job type was paused.",
        "Resume it on the Overview page, unless the pause is intentional.",
        "overview",
        lambda alert: conditions.paused(alert["subject"], alert["value"], alert["detail"]["by"]),
    ),
    "cron_failing": Rule(
        "Cron job failing",
        "runs",
        "Failed runs of an active cron job since its last success. A run also counts as failed if"
        " its function returned an error.",
        "Read the message of its last run and the notes on its schedule.",
        "workers",
        lambda alert: conditions.cron_failing(
            alert["subject"], round(alert["value"]), alert["detail"].get("error")
        ),
    ),
    "background_errors": Rule(
        "Background task failing",
        "errors",
        "Consecutive failures of a background task in the last 5 min. These tasks rescue jobs,"
        " update statistics and send alerts, and keep retrying.",
        "Read the error, then the worker's or app's log.",
        "workers",
        lambda alert: conditions.background_error(
            alert["subject"], round(alert["value"]), alert["detail"]["error"]
        ),
    ),
    "jobs_set_aside": Rule(
        "Jobs set aside",
        "jobs",
        "Jobs that the database cannot change or count, for example because of a custom trigger.",
        "Find them in the table set_aside_jobs and remove the cause. They are retried within an"
        " hour. To retry them now, run: select public.retry_set_aside_jobs('0')",
        "workers",
        lambda alert: conditions.set_aside(
            alert["subject"], round(alert["value"]), alert["detail"]["error"]
        ),
    ),
}
"""By name; alerts of the same severity are listed in this order."""


def describe(alert: Alert) -> str:
    """An alert as a sentence; once the value is low enough again, with the worst one.

    Uses `worst` and `calm_since` too.
    """
    rule = RULES[alert["rule"]]
    if not alert["calm_since"]:
        return rule.describe(alert)
    of = f" ({subject_name(alert)})" if alert["subject"] else ""
    worst, now = (format_measure(rule.unit, alert[name]) for name in ("worst", "value"))
    return f"{rule.title}{of}: {worst} at worst, now {now}; about to resolve."


def subject_name(alert: Alert) -> str:
    """What an alert is about, for display; empty for the queue as a whole."""
    if alert["rule"] == "worker_gone":
        return f"{alert['detail']['host']}, pid {alert['detail']['pid']}"
    return conditions.type_name(str(alert["subject"]))


def format_measure(unit: str, value: float) -> str:
    """Format a measured value with its unit, such as "10%" or "5 min"."""
    if unit == "seconds":
        return duration(value) if value else "0 s"
    if unit == "share":
        return f"{100 * value:.3g}%"
    return plural(round(value), unit.removesuffix("s"))
