"""Details of one cron job: problems, command, schedule controls, run history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from lib.checks.cron_jobs import explain
from lib.checks.workers_and_cron import cron_job_name, missed_runs
from lib.formats import duration, escaped, plural, zone
from lib.ops.cron.actions import change_schedule, set_active, unschedule
from lib.ops.cron.runs import outcome
from lib.ops.cron.schedule import ScheduleError, corrected, in_words, next_runs
from lib.roles import Role
from lib.ui.columns import count_column, time_column
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, format_time, pool, read
from lib.ui.parts.schedule_form import schedule_input

Row = Mapping[str, Any]
MAX_RUNS_SHOWN = 200
MAX_GAPS_SHOWN = 20
RESULT_MARKS = {"good": "✓", "underway": "…", "unknown": "?", "bad": "✗"}


def schedule_text(schedule: str) -> str:
    """A schedule as text; a placeholder if it cannot be parsed."""
    try:
        return in_words(schedule)
    except ScheduleError:
        return "(cannot be parsed)"


def upcoming_runs(job: Row, env: Row, now: datetime, count: int) -> list[datetime]:
    """The next run times of a job; empty if it is paused or its schedule cannot be parsed."""
    # Schedules in seconds count from the last run.
    last = job["last_started_at"] if job["schedule"].endswith("seconds") else None
    if not job["active"]:
        return []
    try:
        return next_runs(job["schedule"], last or now, zone(env["time_zone"]), count)
    except ScheduleError:
        return []


def cron_jobs(jobs: Sequence[Row], env: Row, now: datetime) -> None:
    """Draw the table of pg_cron's jobs."""
    st.caption(
        f"pg_cron {env['version']} evaluates schedules in {escaped(env['time_zone'])}; times below"
        " are in your time zone."
    )
    if zone(env["time_zone"]).key != env["time_zone"]:
        st.warning(
            "pg_cron's time zone is unknown here, so next runs are computed in UTC. Set"
            " cron.timezone to a name such as Europe/Berlin."
        )
    if not jobs:
        st.info("No schedules. Unless a worker runs all the time, schedule process-jobs.")
        return
    st.dataframe(
        [_cron_row(job, env, now) for job in jobs],
        key="cron jobs",
        hide_index=True,
        alt="Cron jobs",
        placeholder="–",
        column_order=["job", "state", "words", "next", "last", "status", "failures"],
        column_config={
            "job": st.column_config.TextColumn("Cron job", width=220),
            "state": st.column_config.TextColumn("State", width=75),
            "words": st.column_config.TextColumn("Schedule", width=220),
            "next": time_column("Next run", width=120),
            "last": time_column("Last run", seconds=True, width=130),
            "status": st.column_config.TextColumn("Last result", width=105),
            "failures": count_column("Failures in a row", width=105),
            "schedule": "Cron expression",
            "wakes": st.column_config.CheckboxColumn("Calls process-jobs"),
        },
    )


def _cron_row(job: Row, env: Row, now: datetime) -> dict[str, Any]:
    next_times = upcoming_runs(job, env, now, 1)
    misread = any(finding["finding"] == "six_fields" for finding in job["findings"])
    return {
        "job": cron_job_name(job),
        "state": "Active" if job["active"] else "Paused",
        "schedule": job["schedule"],
        "words": ("⚠ " if misread else "") + schedule_text(job["schedule"]),
        "next": next_times[0] if next_times else None,
        "last": job["last_started_at"],
        "status": "failed" if job["failures_in_row"] else job["last_status"],
        "failures": job["failures_in_row"],
        "wakes": job["wakes_queue"],
    }


def job_details(jobs: Sequence[Row], env: Row, now: datetime) -> None:
    """Draw a select box of the jobs, and the details of the chosen one."""
    jobs_by_label = {
        f"{job['job_name']} (#{job['job_id']})" if job["job_name"] else cron_job_name(job): job
        for job in jobs
    }
    chosen = st.selectbox(
        "Cron job", list(jobs_by_label), key="job", bind="query-params", width=420
    )
    if chosen not in jobs_by_label:
        return
    job = jobs_by_label[chosen]
    for finding in explain(job, env):
        show = st.error if finding.status == "critical" else st.warning
        show(escaped(finding.evidence), icon=":material/error:")
        text, _, sql = finding.todo.partition("\n\n")
        st.text(text)
        if sql:
            st.code(sql, language="sql", wrap_lines=True)
    st.code(job["command"], language="sql", wrap_lines=True)
    next_times = [format_time(at, seconds=True) for at in upcoming_runs(job, env, now, 3)]
    changed = job["changed_at"]
    st.caption(
        f"Next runs: {', '.join(next_times) or 'none'}."
        + (
            f" Last changed {format_time(changed)} by {escaped(job['changed_by'])}."
            if changed
            else ""
        )
    )
    schedule_controls(job, env)
    history(job, env, now)


def schedule_controls(job: Row, env: Row) -> None:
    current = job["schedule"]
    key = f"{job['job_id']} {current}"
    suggested = current
    if len(current.split()) > 5:
        suggested = corrected(current, supports_seconds=env["seconds"])
    schedule = schedule_input("New schedule", env, suggested, f"change {key}")
    # The job is part of the keys, so that a click on another job's stale button does nothing.
    with st.container(horizontal=True):
        unchanged = not schedule or schedule == current
        if st.button("Change schedule", disabled=unchanged, key=f"set {key}") and schedule:
            ask(change_schedule_action(job, schedule))
        if job["active"]:
            if st.button("Pause schedule", icon=":material/pause:", key=f"pause {key}"):
                ask(set_active_action(job, False))
        elif st.button(
            "Resume schedule", icon=":material/play_arrow:", type="primary", key=f"resume {key}"
        ):
            ask(set_active_action(job, True))
        if st.button("Remove schedule", icon=":material/delete:", key=f"unschedule {key}"):
            ask(unschedule_action(job))


def change_schedule_action(job: Row, schedule: str) -> Action:
    def run() -> str:
        changed = change_schedule(pool(), actor(), job["job_id"], schedule)
        return "Schedule changed." if changed else "The schedule is unchanged."

    return Action(
        title="Change schedule",
        effect=f"pg_cron runs {escaped(cron_job_name(job))} {in_words(schedule).lower()} instead of"
        f" {escaped(schedule_text(job['schedule']).lower())}.",
        button="Change schedule",
        run=run,
        needs=Role.ADMIN,
    )


def set_active_action(job: Row, active: bool) -> Action:
    def run() -> str:
        set_active(pool(), actor(), job["job_id"], active)
        return f"{escaped(cron_job_name(job))} {'resumed' if active else 'paused'}."

    effect = (
        f"pg_cron runs {escaped(cron_job_name(job))} again:"
        f" {escaped(schedule_text(job['schedule']).lower())}."
        if active
        else f"pg_cron stops running {escaped(cron_job_name(job))} until it is resumed. A run in"
        " progress is not affected."
    )
    if job["wakes_queue"] and not active:
        effect += " Jobs then stay pending unless a worker runs all the time."
    label = "Resume schedule" if active else "Pause schedule"
    return Action(
        title=label,
        effect=effect,
        button=label,
        run=run,
        needs=Role.ADMIN,
    )


def unschedule_action(job: Row) -> Action:
    def run() -> str:
        removed = unschedule(pool(), actor(), job["job_id"])
        done = "removed" if removed else "had already been removed"
        return f"{escaped(cron_job_name(job))} {done}."

    return Action(
        title="Remove schedule",
        effect=f"Removes the cron job {escaped(cron_job_name(job))}. Its past runs remain listed,"
        f" and the audit log keeps its schedule and command."
        + (
            " Jobs then stay pending unless a worker runs all the time."
            if job["wakes_queue"]
            else ""
        ),
        button="Remove schedule",
        run=run,
        needs=Role.ADMIN,
    )


def history(job: Row, env: Row, now: datetime) -> None:
    runs = read("cron", "runs", job_id=job["job_id"], before=None, most=MAX_RUNS_SHOWN)
    if not runs:
        st.info("No runs yet, or pg_cron does not log runs (cron.log_run).")
        return
    show_gaps(job, runs, env, now)
    only_failures = st.toggle("Failed runs only", key="failed", bind="query-params")
    rows = [row for run in runs if (row := history_row(run, env, now, only_failures))]
    if not rows:
        st.success(
            f"No failures in the last {plural(len(runs), 'run')}.", icon=":material/check_circle:"
        )
        return
    st.dataframe(
        rows,
        key="runs",
        hide_index=True,
        alt="Runs",
        placeholder="",
        column_config={
            "started": time_column("Started", seconds=True, width=130),
            "took": st.column_config.TextColumn("Duration", width=85),
            "result": st.column_config.TextColumn("Result", width=370),
            "why": st.column_config.TextColumn("Meaning", width=370),
        },
    )
    if job["wakes_queue"]:
        st.caption(
            "When a cron job calls a function, pg_cron's “succeeded” only means that the request"
            " was queued. The result shown here is the function's response. pg_net records it once"
            " all requests in its batch have ended, and keeps it for six hours."
        )


def history_row(run: Row, env: Row, now: datetime, only_failures: bool) -> dict[str, Any] | None:
    result = outcome(run, now, env["response_seconds"])
    if only_failures and result.level != "bad":
        return None
    return {
        "started": run["started_at"],
        "took": duration(((run["finished_at"] or now) - run["started_at"]).total_seconds()),
        "result": f"{RESULT_MARKS[result.level]} {result.summary}",
        "why": result.hint or None,
    }


def show_gaps(job: Row, runs: Sequence[Row], env: Row, now: datetime) -> None:
    found = missed_runs(job, runs, env, now)
    if not found:
        return
    st.warning(
        f"Gaps in the last {len(runs):,} runs, according to the current schedule:",
        icon=":material/warning:",
    )
    st.dataframe(
        [
            {"after": gap.after, "until": gap.until, "missed": gap.missed}
            for gap in found[:MAX_GAPS_SHOWN]
        ],
        key="gaps",
        hide_index=True,
        alt="Missed runs",
        placeholder="now",
        column_config={
            "after": time_column("Last run before", seconds=True),
            "until": time_column("Next run after", seconds=True),
            "missed": count_column("Missed runs"),
        },
    )
