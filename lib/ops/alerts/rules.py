"""The alert rules: what each one measures and what to do when it fires."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.formats import duration
from lib.ops import conditions

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
        "No worker",
        "seconds",
        "How long ago any worker, or a call of process-jobs, was last seen.",
        f"{conditions.START_WORKER}. With cron instead of workers, check its schedule.",
        "workers",
        _seconds(conditions.no_worker),
    ),
    "provider_down": Rule(
        "Provider down",
        "seconds",
        "How long the breaker of a provider has been open: its jobs wait.",
        "See which errors it gives and look at its status page. Jobs go on by themselves once it"
        " answers again.",
        "failures",
        lambda alert: conditions.provider_down(alert["subject"], alert["value"]),
    ),
    "storage_failed": Rule(
        "Storage failing",
        "seconds",
        "How long the storage of a worker has taken no images: their jobs wait.",
        conditions.FREE_STORAGE,
        "workers",
        lambda alert: conditions.storage_failed(
            alert["detail"]["hosts"], alert["value"], alert["detail"]["error"]
        ),
    ),
    "no_completion": Rule(
        "Nothing completes",
        "seconds",
        "How long jobs that could be claimed have waited while none completed.",
        "See whether workers are alive and what they hold, then what their last jobs failed with.",
        "throughput",
        _seconds(conditions.no_completion),
    ),
    "oldest_pending": Rule(
        "Oldest pending job",
        "seconds",
        "How long the oldest job that could be claimed has been due.",
        "Start more workers, or raise their concurrency.",
        "throughput",
        _seconds(conditions.long_wait),
    ),
    "failure_rate": Rule(
        "Failure rate",
        "share",
        "Share that failed of the jobs that completed or failed in the last hour.",
        "See which error is the most frequent and what to do about it.",
        "failures",
        lambda alert: conditions.failure_rate(alert["detail"]["failed"], alert["detail"]["ended"]),
    ),
    "worker_gone": Rule(
        "Worker gone",
        "seconds",
        "How long a worker that holds jobs has been silent.",
        "Look at its host and start it again. Others take its jobs by themselves, or reset them"
        " now on the page Stuck jobs.",
        "workers",
        _worker_lost,
    ),
    "stuck_jobs": Rule(
        "Stuck jobs",
        "jobs",
        "Running jobs without a recent heartbeat.",
        "Reset them, so that a living worker takes them.",
        "stuck_jobs",
        lambda alert: conditions.stuck(round(alert["value"])),
    ),
    "pending_jobs": Rule(
        "Pending jobs",
        "jobs",
        "Jobs that wait, later retries included, counted up to 10,000.",
        "See whether more arrive than workers finish, and start more workers if so.",
        "throughput",
        lambda alert: conditions.many_pending(
            round(alert["value"]), at_least=bool(alert["detail"].get("at_least"))
        ),
    ),
    "wait_p95": Rule(
        "Wait, 95th percentile",
        "seconds",
        "What 95% of the jobs that ended in the last 15 minutes waited at most, from due to"
        " started; of the newest 5,000.",
        "See when the waits began to grow, and start more workers.",
        "throughput",
        _seconds(conditions.high_wait_p95),
    ),
    "queue_paused": Rule(
        "Queue paused",
        "seconds",
        "How long the claiming of a type of jobs, or of all, has been paused.",
        "Resume it on the Overview, unless the pause is intentional.",
        "overview",
        lambda alert: conditions.paused(alert["subject"], alert["value"], alert["detail"]["by"]),
    ),
    "cron_failing": Rule(
        "Cron job failing",
        "runs",
        "Runs of an active pg_cron job that failed since its last success.",
        "Read the message of its last run, and what is said of its schedule.",
        "workers",
        lambda alert: conditions.cron_failing(alert["subject"], round(alert["value"])),
    ),
    "background_errors": Rule(
        "Background task failing",
        "errors",
        "How often in a row a task failed that did so in the last five minutes. Such tasks rescue"
        " jobs, keep the history, send alerts; each goes on trying.",
        "Read the error, and the log of the worker or the app for more.",
        "workers",
        lambda alert: conditions.background_error(
            alert["subject"], round(alert["value"]), alert["detail"]["error"]
        ),
    ),
    "jobs_set_aside": Rule(
        "Jobs set aside",
        "jobs",
        "Jobs that the database refuses to change or to count, for example because of a trigger"
        " of your own.",
        "Find them in the table set_aside_jobs and remove the cause. They are tried again within an"
        " hour, or at once by: select public.retry_set_aside_jobs('0')",
        "workers",
        lambda alert: conditions.set_aside(
            alert["subject"], round(alert["value"]), alert["detail"]["error"]
        ),
    ),
}
"""By name; alerts of the same severity are listed in this order."""


def subject_name(alert: Alert) -> str:
    """What an alert is about, for display; empty for the queue as a whole."""
    if alert["rule"] == "worker_gone":
        return f"{alert['detail']['host']}, process {alert['detail']['pid']}"
    return conditions.type_name(str(alert["subject"]))


def format_measure(unit: str, value: float) -> str:
    """Format a measured value with its unit, such as "10%" or "5 min"."""
    if unit == "seconds":
        return duration(value) if value else "0 s"
    if unit == "share":
        return f"{100 * value:g}%"
    return f"{value:,.0f} {unit}"
