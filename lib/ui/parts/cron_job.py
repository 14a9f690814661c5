"""One cron job: what is wrong with it, what it runs, how it is changed, and its history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from lib.checks.cron_jobs import explain
from lib.checks.workers_and_cron import cron_job_name, missed_runs
from lib.formats import duration, escaped
from lib.ops.cron.actions import change_schedule, set_active, unschedule
from lib.ops.cron.runs import outcome
from lib.ops.cron.schedule import ScheduleError, corrected, in_words, next_runs
from lib.roles import Role
from lib.ui.columns import count_column, time_column
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, moment, pool, read
from lib.ui.parts.schedule_form import schedule_input

Row = Mapping[str, Any]
SHOWN = 200
SHOWN_GAPS = 20
SIGNS = {"good": "✓", "underway": "…", "unknown": "?", "bad": "✗"}


def as_read(schedule: str) -> str:
    """A schedule in words, whatever it holds."""
    try:
        return in_words(schedule)
    except ScheduleError:
        return "(only pg_cron can read it)"


def coming(job: Row, there: Row, now: datetime, count: int) -> list[datetime]:
    """The next runs of a job; none while it is paused or when only pg_cron can read it."""
    # What runs every so many seconds counts them from its last run.
    last = job["last_started_at"] if job["schedule"].endswith("seconds") else None
    if not job["active"]:
        return []
    try:
        return next_runs(job["schedule"], last or now, ZoneInfo(there["time_zone"]), count)
    except ScheduleError:
        return []


def one_job(jobs: Sequence[Row], there: Row, now: datetime) -> None:
    """Draws one of the jobs, chosen by a field; at first the first."""
    named = {f"{cron_job_name(job)} (#{job['job_id']})": job for job in jobs}
    chosen = st.selectbox("Which job?", list(named), key="job", bind="query-params", width=420)
    if chosen not in named:
        return
    job = named[chosen]
    for finding in explain(job, there):
        show = st.error if finding.level == "act" else st.warning
        show(escaped(finding.sentence), icon=":material/error:")
        st.text(finding.repair)
        if finding.sql:
            st.code(finding.sql, language="sql", wrap_lines=True)
    st.code(job["command"], language="sql", wrap_lines=True)
    following = [moment(at, seconds=True) for at in coming(job, there, now, 3)]
    changed = job["changed_at"]
    st.caption(
        f"Next runs: {', '.join(following) or 'none'}."
        + (f" Last changed {moment(changed)} by {escaped(job['changed_by'])}." if changed else "")
    )
    changing(job, there)
    history(job, there, now)


def changing(job: Row, there: Row) -> None:
    now_it_is = job["schedule"]
    key = f"{job['job_id']} {now_it_is}"
    meant = now_it_is
    if len(now_it_is.split()) > 5:
        meant = corrected(now_it_is, supports_seconds=there["seconds"])
    schedule = schedule_input("Change its schedule", there, meant, f"change {key}")
    # The job is in the keys: a click on another one's buttons, there for a moment yet, is none.
    with st.container(horizontal=True):
        same = not schedule or schedule == now_it_is
        if st.button("Change the schedule", disabled=same, key=f"set {key}") and schedule:
            ask(change(job, schedule))
        if job["active"]:
            if st.button("Pause", icon=":material/pause:", key=f"pause {key}"):
                ask(activation(job, False))
        elif st.button("Resume", icon=":material/play_arrow:", type="primary", key=f"resume {key}"):
            ask(activation(job, True))
        if st.button("Unschedule", icon=":material/delete:", key=f"unschedule {key}"):
            ask(removal(job))


def change(job: Row, schedule: str) -> Action:
    def run() -> str:
        changed = change_schedule(pool(), actor(), job["job_id"], schedule)
        return "The schedule is changed." if changed else "It had that schedule already."

    return Action(
        title="Change a schedule",
        effect=f"pg_cron runs {escaped(cron_job_name(job))} from now on: {in_words(schedule).lower()}. Until"
        f" now: {escaped(as_read(job['schedule']).lower())}.",
        button="Change",
        run=run,
        needs=Role.ADMIN,
    )


def activation(job: Row, active: bool) -> Action:
    def run() -> str:
        set_active(pool(), actor(), job["job_id"], active)
        return f"{escaped(cron_job_name(job))} {'runs again' if active else 'is paused'}."

    effect = (
        f"pg_cron runs {escaped(cron_job_name(job))} again: {escaped(as_read(job['schedule']).lower())}."
        if active
        else f"pg_cron runs {escaped(cron_job_name(job))} no more until it is resumed; a run that goes on"
        " ends."
    )
    if job["wakes_queue"] and not active:
        effect += " Without a worker that runs all the time, jobs then wait."
    return Action(
        title="Resume a cron job" if active else "Pause a cron job",
        effect=effect,
        button="Resume" if active else "Pause",
        run=run,
        needs=Role.ADMIN,
    )


def removal(job: Row) -> Action:
    def run() -> str:
        removed = unschedule(pool(), actor(), job["job_id"])
        return (
            f"{escaped(cron_job_name(job))} {'is unscheduled' if removed else 'was gone already'}."
        )

    return Action(
        title="Unschedule a cron job",
        effect=f"Removes the cron job {escaped(cron_job_name(job))}. Its runs so far stay listed, and the"
        " audit log keeps its schedule and command."
        + (
            " Without a worker that runs all the time, jobs then wait."
            if job["wakes_queue"]
            else ""
        ),
        button="Unschedule",
        run=run,
        needs=Role.ADMIN,
    )


def history(job: Row, there: Row, now: datetime) -> None:
    runs = read("cron", "runs", job_id=job["job_id"], before=None, most=SHOWN)
    if not runs:
        st.info("It has not run yet, or pg_cron keeps no runs (cron.log_run).")
        return
    show_gaps(job, runs, there, now)
    only_failures = st.toggle("Only what failed", key="failed", bind="query-params")
    rows = [row for run in runs if (row := in_history(run, there, now, only_failures))]
    if not rows:
        st.success(f"None of its last {len(runs):,} runs failed.", icon=":material/check_circle:")
        return
    st.dataframe(
        rows,
        key="runs",
        hide_index=True,
        alt="Runs",
        placeholder="",
        column_config={
            "started": time_column("Started", seconds=True),
            "took": "Took",
            "result": st.column_config.TextColumn("Result", width="large"),
            "why": st.column_config.TextColumn("What it means", width="large"),
        },
    )
    if job["wakes_queue"]:
        st.caption(
            "For a job that calls a function, pg_cron's own “succeeded” says only that the request"
            " was queued. The result here is what the function answered, as pg_net keeps it for six"
            " hours."
        )


def in_history(run: Row, there: Row, now: datetime, only_failures: bool) -> dict[str, Any] | None:
    seen = outcome(run, now, there["call_seconds"])
    if only_failures and seen.level != "bad":
        return None
    return {
        "started": run["started_at"],
        "took": duration(((run["finished_at"] or now) - run["started_at"]).total_seconds()),
        "result": f"{SIGNS[seen.level]} {seen.summary}",
        "why": seen.hint or None,
    }


def show_gaps(job: Row, runs: Sequence[Row], there: Row, now: datetime) -> None:
    found = missed_runs(job, runs, there, now)
    if not found:
        return
    st.warning(
        f"Runs are missing among the last {len(runs):,}, by the schedule as it is now:",
        icon=":material/visibility:",
    )
    st.dataframe(
        [
            {"after": gap.after, "until": gap.until, "missed": gap.missed}
            for gap in found[:SHOWN_GAPS]
        ],
        key="gaps",
        hide_index=True,
        alt="Gaps",
        placeholder="now",
        column_config={
            "after": time_column("After the run of", seconds=True),
            "until": time_column("Until", seconds=True),
            "missed": count_column("Runs missing"),
        },
    )
