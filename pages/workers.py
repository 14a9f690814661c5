"""Which workers run, and what wakes the queue?"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.health import LEVEL_LABELS
from lib.checks.worker_schedule import worker_schedule
from lib.checks.workers_and_cron import conditions, cron_job_name
from lib.formats import duration, escaped, plural, zone
from lib.ops.conditions import START_WORKER
from lib.ops.cron.actions import call_process_jobs
from lib.resources import project_keys
from lib.settings import settings
from lib.ui.columns import count_column, job_column, job_links, time_column
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, functions_url, pool, read, read_once
from lib.ui.export import batches, csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.navigation import link
from lib.ui.parts.cron_job import job_details, schedule_text, upcoming_runs
from lib.ui.parts.schedule_form import schedule_action, schedule_form

Row = Mapping[str, Any]
MAX_SHOWN = 200
RUN_COLUMNS = [
    "run_id", "job_id", "started_at", "finished_at", "status", "message", "request_id",
    "responded_at", "response_status", "response_timed_out", "response_error", "response_text",
]  # fmt: skip
WORKER_COLUMNS = [
    "state", "kind", "worker", "version", "holds", "oldest", "silent", "processed", "errors",
    "started_at",
]  # fmt: skip
CALL_SECONDS = 150.0
"""Timeout of a manual call."""

confirmations()


def panel() -> None:
    env, now = read("cron", "environment"), datetime.now(UTC)
    workers = read("workers", "workers")
    jobs = read("cron", "jobs")
    runs = read("cron", "runs", job_id=None, before=None, most=MAX_SHOWN)
    show_conditions(workers, jobs, runs, env, now)
    worker_table(workers)
    held_jobs()
    if env["available"]:
        cron_jobs(jobs, env, now)
        if jobs:
            job_details(jobs, env, now)
    else:
        built_in_schedule(env, now)
    calls()


def show_conditions(
    workers: Sequence[Row], jobs: Sequence[Row], runs: Sequence[Row], env: Row, now: datetime
) -> None:
    found = conditions(workers, jobs, runs, env, now)
    for condition in found:
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            text = f"**{LEVEL_LABELS[condition.level]}.** {escaped(condition.reason)}"
            if condition.level == "critical":
                st.error(text, icon=":material/error:")
            else:
                st.warning(text, icon=":material/visibility:")
            if condition.page:
                link(condition.page)
    if not found:
        alive = sum(worker["state"] == "alive" for worker in workers)
        st.success(
            f"**All good.** {plural(alive, 'worker')} alive, no schedule problems.",
            icon=":material/check_circle:",
        )


def worker_table(workers: Sequence[Row]) -> None:
    st.header("Who works?")
    if not workers:
        st.info(f"No heartbeat in the last hour. {START_WORKER}")
        return
    st.dataframe(
        pd.DataFrame(workers).assign(
            holds=[f"{worker['holds']:,} of {worker['concurrency']:,}" for worker in workers],
            oldest=[duration(worker["oldest_claim_seconds"]) for worker in workers],
            silent=[duration(worker["silent_seconds"]) for worker in workers],
            worker=[f"{worker['host']}, pid {worker['pid']}" for worker in workers],
        ),
        key="workers",
        hide_index=True,
        alt="Workers",
        column_order=WORKER_COLUMNS,
        column_config={
            "state": "State",
            "kind": "Kind",
            "worker": "Host and process",
            "version": "Version",
            "holds": st.column_config.TextColumn(
                "Holds", help="Jobs in hand, of how many at once."
            ),
            "oldest": st.column_config.TextColumn("Oldest for", help="Of its jobs in hand."),
            "silent": st.column_config.TextColumn("Last sign", help="How long ago."),
            "processed": count_column("Processed"),
            "errors": count_column("Errors"),
            "started_at": time_column("Started", seconds=True),
        },
    )


def held_jobs() -> None:
    st.header("What do they hold?")
    held = read("workers", "held", most=MAX_SHOWN)
    if not held:
        st.caption("No job is in anybody's hand.")
        return
    if held[0]["total"] > len(held):
        st.caption(f"The {len(held):,} longest silent of {held[0]['total']:,}.")
    st.dataframe(
        pd.DataFrame(held).assign(
            id=job_links([row["id"] for row in held]),
            tries=[f"{row['attempt']} of {row['max_attempts']}" for row in held],
            silent=[duration(row["silent_seconds"]) for row in held],
        ),
        key="held",
        hide_index=True,
        alt="Jobs in hand",
        placeholder="unknown",
        column_order=["id", "job_type", "model_id", "tries", "claimed_at", "silent", "worker"],
        column_config={
            "id": job_column(),
            "job_type": "Type",
            "model_id": "Model",
            "tries": "Attempt",
            "claimed_at": time_column("Since", seconds=True),
            "silent": st.column_config.TextColumn("Last sign", help="How long ago."),
            "worker": "Worker",
        },
    )


def cron_jobs(jobs: Sequence[Row], env: Row, now: datetime) -> None:
    st.header("What does pg_cron run?")
    st.caption(
        f"pg_cron {env['version']}; its schedules are in {escaped(env['time_zone'])}, what is shown"
        " here in your time zone."
    )
    if zone(env["time_zone"]).key != env["time_zone"]:
        st.warning(
            "The time zone of pg_cron is unknown here, so the next runs are reckoned in UTC. Set"
            " cron.timezone to a name such as Europe/Berlin."
        )
    if not jobs:
        st.info(
            "Nothing is scheduled. Schedule process-jobs below, if no worker runs all the time."
        )
        return
    st.dataframe(
        pd.DataFrame([cron_row(job, env, now) for job in jobs]),
        key="cron jobs",
        hide_index=True,
        alt="Jobs of pg_cron",
        placeholder="–",
        column_config={
            "job": st.column_config.TextColumn("Job", pinned=True),
            "state": "State",
            "schedule": "Schedule",
            "words": "As pg_cron reads it",
            "next": time_column("Next run"),
            "last": time_column("Last run", seconds=True),
            "status": "It ended as",
            "failures": count_column(
                "Failures", "Runs that failed since the last one that succeeded."
            ),
            "wakes": st.column_config.CheckboxColumn("Wakes the queue"),
        },
    )


def cron_row(job: Row, env: Row, now: datetime) -> dict[str, Any]:
    next_times = upcoming_runs(job, env, now, 1)
    trapped = any(finding["finding"] == "six_fields" for finding in job["findings"])
    return {
        "job": cron_job_name(job),
        "state": "active" if job["active"] else "paused",
        "schedule": job["schedule"],
        "words": ("⚠ " if trapped else "") + schedule_text(job["schedule"]),
        "next": next_times[0] if next_times else None,
        "last": job["last_started_at"],
        "status": job["last_status"],
        "failures": job["failures_in_row"],
        "wakes": job["wakes_queue"],
    }


def built_in_schedule(env: Row, now: datetime) -> None:
    st.header("What does a worker do by itself?")
    what = (
        f"pg_cron {env['version']} is too old to be worked with (1.4 is needed)"
        if env["version"]
        else "There is no pg_cron in this database"
    )
    st.caption(
        f"{what}, and none is needed: a worker that runs all the time has a clock of its own. By"
        " this app's settings; workers started elsewhere may have others."
    )
    st.dataframe(
        worker_schedule(settings(), read("workers", "own_schedule"), now),
        key="own clock",
        hide_index=True,
        alt="What a worker does by itself",
        placeholder="not written down",
        column_config={
            "what": st.column_config.TextColumn("What", width="medium"),
            "schedule": st.column_config.TextColumn("Schedule", width="medium"),
            "last": time_column("Last", seconds=True),
            "next": time_column("Next", seconds=True),
        },
    )


def calls() -> None:
    st.header("Which calls of process-jobs were there?")
    st.caption("By a schedule, by hand or by anybody with the secret key, of the last day.")
    found = read("workers", "calls", most=MAX_SHOWN)
    if st.button("Call process-jobs now", icon=":material/play_arrow:"):
        ask(call_action())
    if not found:
        st.caption("None.")
        return
    st.dataframe(
        pd.DataFrame(found).assign(took=[duration(call["seconds"]) for call in found]),
        key="calls",
        hide_index=True,
        alt="Calls of process-jobs",
        column_order=["started_at", "state", "took", "processed", "errors", "host"],
        column_config={
            "started_at": time_column("Started", seconds=True),
            "state": "State",
            "took": "Took",
            "processed": count_column("Processed"),
            "errors": count_column("Errors"),
            "host": "Host",
        },
    )


def call_action() -> Action:
    url, key = functions_url(), project_keys(settings()).secret
    max_jobs = settings().max_parallel_jobs

    def run() -> str:
        with st.spinner("Until its jobs have ended", show_time=True):
            call = call_process_jobs(pool(), actor(), url, key, CALL_SECONDS)
        if not call.succeeded:
            st.error("The call did not succeed:", icon=":material/error:")
            st.text(call.message)
            st.stop()
        return f"process-jobs answered {escaped(call.message)}."

    return Action(
        title="Call process-jobs",
        effect=f"Runs up to {max_jobs:,} due jobs at once, as one run of the schedule does, and"
        " waits"
        " until they have ended.",
        button="Call it",
        run=run,
    )


with rerun_when_reachable():
    # Uncached: something just done in psql, such as storing the key, must count immediately.
    if live(panel) and (env := read_once("cron", "environment"))["available"]:
        jobs = read_once("cron", "jobs")
        st.header("Schedule process-jobs")
        if request := schedule_form(env, jobs, f"{functions_url()}/functions/v1/process-jobs"):
            ask(schedule_action(request, [job for job in jobs if job["wakes_queue"]]))
        st.caption("All runs that pg_cron keeps:")
        csv_export(
            "cron runs",
            RUN_COLUMNS,
            MAX_SHOWN,
            lambda: batches("cron", "runs", {"before": None}, ["run_id"], job_id=None),
        )
