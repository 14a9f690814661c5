"""Does somebody work on the queue, and does something wake it? What is wrong, the worst first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lib.checks.cron_jobs import explain
from lib.checks.health import Condition
from lib.formats import duration
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
    """What is wrong, from the queries of queries/workers.sql and queries/cron.sql.

    `runs` are the newest ones, of all jobs.
    """
    found = [*lost_workers(workers), *nothing_runs(workers, jobs, environment)]
    for job in jobs:
        job_runs = [run for run in runs if run["job_id"] == job["job_id"]]
        found += [
            *schedule_problems(job, environment),
            *failing_runs(job),
            *failed_calls(job, job_runs, environment, now),
        ]
        found += overdue_runs(job, environment, now)
    return sorted(found, key=lambda condition: condition.level != "act")


def lost_workers(workers: Sequence[Row]) -> list[Condition]:
    """Workers that have left with jobs in hand."""
    return [
        Condition(
            "gone",
            "act",
            f"A worker is gone with {worker['holds']:,} {'job' if worker['holds'] == 1 else 'jobs'}"
            f" in hand: {worker['host']}, pid {worker['pid']},"
            f" {'stopped' if worker['stopped_at'] else 'silent for'}"
            f" {duration(worker['silent_seconds'])}{' ago' if worker['stopped_at'] else ''}. The"
            " others take its jobs after ten minutes; they can be reset before that.",
            "stuck_jobs",
        )
        for worker in workers
        if worker["state"] == "gone"
    ]


def nothing_runs(workers: Sequence[Row], jobs: Sequence[Row], environment: Row) -> list[Condition]:
    """Neither a worker lives nor does a cron job wake the queue."""
    waking = [job for job in jobs if job["wakes_queue"]]
    if any(worker["state"] == "alive" for worker in workers) or any(j["active"] for j in waking):
        return []
    if waking:
        names = ", ".join(cron_job_name(job) for job in waking)
        reason = f"the cron job that wakes the queue is paused ({names}): resume it."
    elif environment["available"]:
        reason = "nothing wakes the queue: schedule process-jobs below, or start a worker."
    else:
        reason = "nothing wakes the queue: start a worker with python -m lib.worker"
    return [Condition("nobody", "act", f"No worker is alive, and {reason}")]


def schedule_problems(job: Row, environment: Row) -> list[Condition]:
    """The traps that the job's schedule and command are in."""
    return [
        Condition("finding", finding.level, f"{cron_job_name(job)}: {finding.sentence}")
        for finding in explain(job, environment)
    ]


def failing_runs(job: Row) -> list[Condition]:
    """The SQL of the job's last runs failed."""
    times, message = job["failures_in_row"], " ".join((job["last_message"] or "").split())
    if not times:
        return []
    how_often = "its last run failed" if times == 1 else f"its last {times:,} runs failed"
    return [Condition("failing", "act", f"{cron_job_name(job)}: {how_often}. {message}".strip())]


def failed_calls(job: Row, runs: Sequence[Row], environment: Row, now: datetime) -> list[Condition]:
    """The last run went well for pg_cron, but not for the function that it called."""
    if job["failures_in_row"]:
        return []
    seen = (outcome(run, now, environment["call_seconds"]) for run in runs)
    last = next((found for found in seen if found.level != "underway"), None)
    if last is None or last.level != "bad":
        return []
    reason = (
        f"{cron_job_name(job)}: pg_cron ran it, but the call failed. {last.summary}. {last.hint}"
    )
    return [Condition("unanswered", "act", reason.strip())]


def overdue_runs(job: Row, environment: Row, now: datetime) -> list[Condition]:
    """The last run, or the last change, should have been followed by a run by now."""
    last, changed = job["last_started_at"], job["changed_at"]
    # Nobody knows since when a job is due that was scheduled elsewhere and has not run yet.
    if not job["active"] or not (last or changed):
        return []
    since = max(at for at in (last or job["runs_since"], changed) if at)
    for gap in _gaps(job, [since], environment, now):
        reason = (
            f"{cron_job_name(job)}: no run for {duration((now - gap.after).total_seconds())},"
            f" though {gap.missed:,} {'was' if gap.missed == 1 else 'were'} due."
            " Is pg_cron running?"
        )
        return [Condition("overdue", "act", reason)]
    return []


def missed_runs(job: Row, runs: Sequence[Row], environment: Row, now: datetime) -> list[Gap]:
    """The gaps among those runs of a job, since its last change; newest first."""
    since = job["changed_at"]
    starts = [run["started_at"] for run in runs]
    if since and any(start < since for start in starts):
        # From its change on it was due by the schedule of now.
        starts = [since, *(start for start in starts if start >= since)]
    return [gap for gap in _gaps(job, starts, environment, now) if gap.until or job["active"]]


def cron_job_name(job: Row) -> str:
    """What a cron job is called: its name, or its number where it has none."""
    return str(job["job_name"] or f"job {job['job_id']}")


def _gaps(job: Row, starts: Sequence[datetime], environment: Row, now: datetime) -> list[Gap]:
    """None of a schedule that only pg_cron can read."""
    try:
        return gaps(job["schedule"], starts, now, ZoneInfo(environment["time_zone"]))
    except ScheduleError:
        return []
