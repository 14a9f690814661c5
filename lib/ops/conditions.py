"""The wording of each condition of the queue, for health, alerts, checks and pages alike.

Each function returns sentences: what is wrong, then why. The caller adds what to do. They may
quote providers, operators and names, so they are text, not Markdown.
"""

from collections.abc import Sequence

from lib.formats import duration, plural, sentence, share
from lib.queue.operator_actions import ALL_TYPES

START_WORKER = "Start a worker: python -m lib.worker"
CHECK_SCHEDULE_OR_START = (
    "If pg_cron runs jobs instead of workers, check its schedule. Otherwise start a worker:"
    " python -m lib.worker"
)
HANDLE_TYPE = "Start a worker that runs this type, or cancel its jobs."
FREE_STORAGE = (
    "Free up image storage, or restore access to it. Workers retry every 30 s and then"
    " continue automatically."
)


def type_name(job_type: str) -> str:
    """A job type as it appears in a sentence."""
    return "all jobs" if job_type == ALL_TYPES else job_type


def no_worker(
    seen_seconds: float | None = None,
    due: int = 0,
    waited_seconds: float | None = None,
    job_type: str = "",
) -> str:
    """No worker, or none for a job type: when one was last seen, and how many jobs are due."""
    which = f" for {job_type} jobs" if job_type else ""
    seen = f": last heartbeat {duration(seen_seconds)} ago" if seen_seconds is not None else ""
    waiting = f" {plural(due)} pending, the oldest for {duration(waited_seconds)}." if due else ""
    return f"No worker alive{which}{seen}.{waiting}"


def worker_lost(host: str, pid: int, seconds: float, jobs: int, *, stopped: bool = False) -> str:
    """A worker that stopped, or sends no heartbeat, with jobs running."""
    how = f"stopped {duration(seconds)} ago" if stopped else f"no heartbeat for {duration(seconds)}"
    return f"Worker lost on {host} (pid {pid}): {how}, with {plural(jobs)} running."


def storage_failed(hosts: Sequence[str], seconds: float, reason: str) -> str:
    """Workers whose storage takes no files, on these hosts; `reason` is the storage's error."""
    return (
        f"Storage failing on {', '.join(hosts)} for {duration(seconds)}; jobs that need it stay"
        f" pending there. {sentence(reason)}"
    )


def provider_down(
    provider: str,
    seconds: float,
    reason: str | None = None,
    retry_seconds: float | None = None,
    pending: int | None = None,
) -> str:
    """A provider whose circuit breaker is open; `reason` is its last error."""
    jobs = "its jobs stay pending" if pending is None else f"{plural(pending)} pending"
    retry = ""
    if retry_seconds is not None:
        is_over = retry_seconds <= 0
        retry = " Next job is a test." if is_over else f" Next test in {duration(retry_seconds)}."
    return (
        f"Provider {provider} down for {duration(seconds)} (circuit open); {jobs}."
        f"{retry} {reason or ''}"
    ).rstrip()


def rate_limited(
    model_id: str, seconds: float, reason: str | None = None, busy: bool = False
) -> str:
    """A model that its provider rate-limits, or whose server is `busy` or starting.

    `reason` is the provider's answer.
    """
    if busy:
        return f"{reason} Jobs for {model_id} stay pending until it is ready."
    said = f" Provider message: {reason}" if reason else ""
    return f"Model {model_id} rate-limited for another {duration(seconds)}.{said}"


def rate_limited_jobs(jobs: int, models: Sequence[str]) -> str:
    """Due jobs of rate-limited models."""
    return f"{plural(jobs)} pending: {cannot_keep_up(models)}."


def long_wait(seconds: float, cause: str = "") -> str:
    """The wait of the oldest job that could be claimed."""
    return f"Oldest pending job has waited {duration(seconds)}{f': {cause}' if cause else ''}."


def cannot_keep_up(models: Sequence[str] = ()) -> str:
    """Why jobs wait although workers are alive; `models` are rate-limited."""
    return f"{', '.join(models)} rate-limited" if models else "workers cannot keep up"


def high_wait_p95(seconds: float) -> str:
    """The 95th percentile of the wait time."""
    return f"p95 wait was {duration(seconds)} (last 15 min)."


def many_pending(jobs: int, *, at_least: bool = False) -> str:
    """The number of pending jobs."""
    return f"{'At least ' if at_least else ''}{plural(jobs)} pending."


def no_completion(seconds: float) -> str:
    """Nothing completes although jobs could be claimed."""
    return f"No job completed for {duration(seconds)} while jobs are pending."


def failure_rate(failed: int, ended: int) -> str:
    """The failure rate of the last hour."""
    return f"{share(failed, ended)} of jobs failed in the last hour ({failed:,} of {ended:,})."


def paused(job_type: str, seconds: float, by: str, reason: str | None = None) -> str:
    """A job type, or all of them, that an operator has paused."""
    why = f": {reason.rstrip('.')}" if reason else ""
    return f"Queue paused by {by} {duration(seconds)} ago ({type_name(job_type)}){why}."


def stuck(jobs: int, silent_seconds: float | None = None) -> str:
    """Running jobs without a recent heartbeat; `silent_seconds` is the longest silence."""
    if silent_seconds is None:
        return f"{plural(jobs)} stuck: no recent heartbeat."
    most = "" if jobs == 1 else "up to "
    return f"{plural(jobs)} stuck: no heartbeat for {most}{duration(silent_seconds)}."


def background_error(task: str, times: int, error: str) -> str:
    """A background task of a worker or the app that fails and is tried again."""
    often = f" {times:,} times in a row" if times > 1 else ""
    return f"Background task “{task}” failed{often}: {sentence(error)}"


def set_aside(step: str, jobs: int, error: str) -> str:
    """Jobs whose row the database refuses; `step` is what goes on without them."""
    return (
        f"{plural(jobs)} set aside ({step}): the database cannot change or count"
        f" {'it' if jobs == 1 else 'them'}. {sentence(error)}"
    )


def cron_failing(name: str, runs: int, message: str | None = None) -> str:
    """A pg_cron job whose last runs failed; `message` is that of the last one."""
    which = "last run" if runs == 1 else f"last {runs:,} runs"
    text = f"Cron job {name}: {which} failed."
    return f"{text} {sentence(' '.join((message or '').split()))}".rstrip()
