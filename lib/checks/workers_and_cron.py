"""Problems with workers and with pg_cron jobs, most severe first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lib.checks.cron_jobs import explain
from lib.checks.health import Condition
from lib.formats import duration, zone
from lib.ops.conditions import (
    FREE_STORAGE,
    START_WORKER,
    cron_failing,
    no_worker,
    storage_failed,
    worker_lost,
)
from lib.ops.cron.runs import outcome
from lib.ops.cron.schedule import Gap, ScheduleError, gaps

Row = Mapping[str, Any]


def conditions(
    workers: Sequence[Row],
    jobs: Sequence[Row],
    runs: Sequence[Row],
    environment: Row,
    now: datetime,
) -> list[Condition]:
    """All problems, from rows of queries/workers.sql and queries/cron.sql.

    `runs` are the latest runs of all cron jobs.
    """
    found = [
        *lost_workers(workers),
        *failing_storage(workers),
        *nothing_runs(workers, jobs, environment),
    ]
    for job in jobs:
        job_runs = [run for run in runs if run["job_id"] == job["job_id"]]
        found += [
            *schedule_problems(job, environment),
            *failing_runs(job, job_runs, environment, now),
        ]
        found += overdue_runs(job, environment, now)
    return sorted(found, key=lambda condition: condition.level != "critical")


def lost_workers(workers: Sequence[Row]) -> list[Condition]:
    """Workers that died or stopped without giving their jobs back."""
    return [
        Condition(
            "lost",
            "critical",
            worker_lost(
                worker["host"],
                worker["pid"],
                worker["silent_seconds"],
                worker["holds"],
                stopped=bool(worker["stopped_at"]),
            )
            + " Other workers take over its jobs when their leases expire. To release the jobs"
            " now, reset them.",
            "stuck_jobs",
        )
        for worker in workers
        if worker["state"] == "lost"
    ]


def failing_storage(workers: Sequence[Row]) -> list[Condition]:
    """Living workers whose storage takes no files, one condition for each error."""
    failing: dict[str, list[Row]] = {}
    for worker in workers:
        if worker["state"] == "alive" and worker["storage_error"]:
            failing.setdefault(worker["storage_error"], []).append(worker)
    return [
        Condition(
            "storage",
            "critical",
            storage_failed(
                sorted({worker["host"] for worker in found}),
                max(worker["storage_failed_seconds"] for worker in found),
                error,
            )
            + f" {FREE_STORAGE}",
        )
        for error, found in failing.items()
    ]


def nothing_runs(workers: Sequence[Row], jobs: Sequence[Row], environment: Row) -> list[Condition]:
    """No worker is alive and no active cron job calls process-jobs."""
    waking = [job for job in jobs if job["wakes_queue"]]
    if any(worker["state"] == "alive" for worker in workers) or any(j["active"] for j in waking):
        return []
    if waking:
        names = ", ".join(cron_job_name(job) for job in waking)
        reason = f"The cron job that runs the queue is paused ({names}). Resume it."
    elif environment["available"]:
        reason = (
            "Nothing is running the queue. Schedule process-jobs below, or start a worker: "
            "python -m lib.worker"
        )
    else:
        reason = f"Nothing is running the queue. {START_WORKER}"
    return [Condition("nobody", "critical", f"{no_worker()} {reason}")]


def schedule_problems(job: Row, environment: Row) -> list[Condition]:
    """Problems with the job's schedule or command."""
    return [
        Condition(
            "finding",
            "critical" if finding.status == "critical" else "warning",
            f"{cron_job_name(job)}: {finding.evidence}",
        )
        for finding in explain(job, environment)
    ]


def failing_runs(job: Row, runs: Sequence[Row], environment: Row, now: datetime) -> list[Condition]:
    """The job's latest runs failed, or the function that they called answered with an error."""
    if not job["failures_in_row"]:
        return []
    reason = cron_failing(cron_job_name(job), job["failures_in_row"], job["last_error"])
    outcomes = (outcome(run, now, environment["response_seconds"]) for run in runs)
    last = next((found for found in outcomes if found.level == "bad"), None)
    if last and last.hint:
        reason = f"{reason.rstrip('.')}. {last.hint}"
    return [Condition("failing", "critical", reason)]


def overdue_runs(job: Row, environment: Row, now: datetime) -> list[Condition]:
    """No run since the last run or schedule change although one was due."""
    last, changed = job["last_started_at"], job["changed_at"]
    # A job scheduled outside Darkroom that has never run has no known start time.
    if not job["active"] or not (last or changed):
        return []
    since = max(at for at in (last or job["runs_since"], changed) if at)
    for gap in _gaps(job, [since], environment, now):
        reason = (
            f"{cron_job_name(job)}: no run for {duration((now - gap.after).total_seconds())},"
            f" though {gap.missed:,} {'was' if gap.missed == 1 else 'were'} due."
            " Is pg_cron running?"
        )
        return [Condition("overdue", "critical", reason)]
    return []


def missed_runs(job: Row, runs: Sequence[Row], environment: Row, now: datetime) -> list[Gap]:
    """Gaps between the given runs of a job since its last change, newest first."""
    since = job["changed_at"]
    starts = [run["started_at"] for run in runs]
    if since and any(start < since for start in starts):
        # Before that change another schedule applied.
        starts = [since, *(start for start in starts if start >= since)]
    return [gap for gap in _gaps(job, starts, environment, now) if gap.until or job["active"]]


def cron_job_name(job: Row) -> str:
    """Display name of a cron job: its name or, if it has none, its id."""
    return str(job["job_name"] or f"#{job['job_id']}")


def _gaps(job: Row, starts: Sequence[datetime], environment: Row, now: datetime) -> list[Gap]:
    """Gaps in a schedule; empty if only pg_cron can parse it."""
    try:
        return gaps(job["schedule"], starts, now, zone(environment["time_zone"]))
    except ScheduleError:
        return []
