"""Which workers run, what are they doing, and what runs the queue?"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.health import LEVEL_LABELS, Condition, stuck, unhandled_types
from lib.checks.worker_schedule import worker_schedule
from lib.checks.workers_and_cron import conditions
from lib.formats import ago, duration, escaped, plural
from lib.ops.capacity import summary
from lib.ops.conditions import START_WORKER
from lib.ops.cron.actions import call_process_jobs
from lib.resources import project_keys
from lib.settings import settings
from lib.ui.columns import (
    age_column,
    count_column,
    job_column,
    job_links,
    model_name,
    time_column,
)
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, format_time, functions_url, pool, read, read_once
from lib.ui.export import batches, csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.navigation import link
from lib.ui.parts.cron_job import cron_jobs, job_details
from lib.ui.parts.pauses import pause_form, show_pauses
from lib.ui.parts.schedule_form import schedule_action, schedule_form
from lib.ui.parts.status_strip import reset_button, why_link

Row = Mapping[str, Any]
MAX_SHOWN = 200
RUN_COLUMNS = [
    "run_id", "job_id", "started_at", "finished_at", "status", "message", "request_id",
    "sent_at", "response_status", "response_timed_out", "response_error", "response_text",
    "succeeded",
]  # fmt: skip
CALL_SECONDS = 150.0
"""Timeout of a manual call."""

confirmations()


def panel() -> None:
    env, now = read("cron", "environment"), datetime.now(UTC)
    workers = read("workers", "workers")
    jobs = read("cron", "jobs")
    runs = read("cron", "runs", job_id=None, before=None, most=MAX_SHOWN)
    state = read("overview", "now")
    queue = [*unhandled_types(state), *stuck(state)]
    show_conditions(workers, [*conditions(workers, jobs, runs, env, now), *queue])
    worker_table(workers)
    running_jobs()
    show_pauses()
    st.header("Schedules")
    if env["available"]:
        cron_jobs(jobs, env, now)
        if jobs:
            job_details(jobs, env, now)
    else:
        built_in_schedule(env, now)
    calls()


def show_conditions(workers: Sequence[Row], found: Sequence[Condition]) -> None:
    for condition in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            text = f"**{LEVEL_LABELS[condition.level]}.** {escaped(condition.reason)}"
            if condition.level == "critical":
                st.error(text, icon=":material/error:")
            else:
                st.warning(text, icon=":material/warning:")
            if condition.name == "stuck":
                reset_button(read("overview", "now")["stuck"], "primary")
                link("jobs", "Show stuck jobs", view="stuck")
                why_link()
            elif condition.page:
                link(condition.page)
    if not found:
        alive = [worker for worker in workers if worker["state"] == "alive"]
        slots = sum(worker["concurrency"] for worker in alive)
        running = sum(worker["holds"] for worker in alive)
        st.success(
            f"**All good.** {plural(len(alive), 'worker')} alive, {running:,} of"
            f" {plural(slots, 'slot')} in use. No schedule problems.",
            icon=":material/check_circle:",
        )


def worker_table(workers: Sequence[Row]) -> None:
    st.header("Workers")
    if not workers:
        st.info(f"No heartbeat in the last hour. {START_WORKER}")
        return
    st.dataframe(
        [
            {
                **worker,
                "state": worker["state"].capitalize(),
                "worker": f"{worker['host']} (pid {worker['pid']})",
                "running": f"{worker['holds']:,} of {worker['concurrency']:,}",
                "oldest": duration(worker["oldest_claim_seconds"]),
                "heartbeat": ago(worker["silent_seconds"]),
                "types": ", ".join(worker["job_types"] or ()) or None,
            }
            for worker in workers
        ],
        key="workers",
        hide_index=True,
        alt="Workers",
        placeholder="–",
        column_order=[
            "state", "heartbeat", "running", "worker", "kind", "version", "oldest", "started_at",
        ],
        column_config={
            "state": st.column_config.TextColumn("State", width=110),
            "worker": st.column_config.TextColumn("Host", width=210),
            "kind": st.column_config.TextColumn("Kind", width=115),
            "version": st.column_config.TextColumn("Version", width=80),
            "running": st.column_config.TextColumn("Running", width=90),
            "oldest": st.column_config.TextColumn("Oldest job", width=100),
            "heartbeat": st.column_config.TextColumn("Last heartbeat", width=110),
            "started_at": age_column("Up since"),
            "types": "Job types",
            "processed": count_column("Processed"),
            "errors": count_column("Errors"),
        },
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(summary(read("throughput", "pace")), width="stretch")
        link("throughput", "Show capacity")


def running_jobs() -> None:
    st.header("Running jobs")
    held = read("workers", "held", most=MAX_SHOWN)
    if not held:
        st.caption("No jobs running.")
        return
    if held[0]["total"] > len(held):
        st.caption(f"Showing {len(held):,} of {held[0]['total']:,}, oldest heartbeat first.")
    st.dataframe(
        [
            {
                **row,
                "job": job_links([row["id"]])[0],
                "model": model_name(row["model_id"]),
                "tries": f"{row['attempt']} of {row['max_attempts']}",
                "heartbeat": ago(row["silent_seconds"]),
            }
            for row in held
        ],
        key="held",
        hide_index=True,
        alt="Running jobs",
        placeholder="Unknown",
        column_order=["job", "job_type", "model", "tries", "claimed_at", "heartbeat", "worker"],
        column_config={
            "job": job_column(),
            "job_type": st.column_config.TextColumn("Type", width=140),
            "model": st.column_config.TextColumn("Model", width=170),
            "tries": st.column_config.TextColumn("Attempt", width=75),
            "claimed_at": age_column("Started"),
            "heartbeat": st.column_config.TextColumn("Last heartbeat", width=110),
            "worker": st.column_config.TextColumn("Worker", width=200),
            "model_id": "Model id",
        },
    )


def built_in_schedule(env: Row, now: datetime) -> None:
    what = (
        f"pg_cron {env['version']} is too old (1.4 or newer is required)."
        if env["version"]
        else "pg_cron is not installed in this database."
    )
    st.caption(
        f"{what} Workers that run all the time do not need it: they have their own schedule. The"
        f" intervals shown are this app's settings; other workers may use different ones."
    )
    rows = worker_schedule(settings(), read("workers", "own_schedule"), now)
    st.dataframe(
        [
            {
                **row,
                "last": format_time(row["last"], seconds=True) if row["last"] else "Not recorded",
                "next": format_time(row["next"], seconds=True) if row["next"] else None,
            }
            for row in rows
        ],
        key="own clock",
        hide_index=True,
        alt="Schedule of a worker",
        placeholder="–",
        column_config={
            "what": st.column_config.TextColumn("Task", width=280),
            "schedule": st.column_config.TextColumn("Schedule", width=300),
            "last": st.column_config.TextColumn("Last run", width=140),
            "next": st.column_config.TextColumn("Next run", width=140),
        },
    )


def calls() -> None:
    st.header("Calls to process-jobs, last 24 h")
    found = read("workers", "calls", most=MAX_SHOWN)
    if st.button("Call process-jobs", icon=":material/play_arrow:"):
        ask(call_action())
    if not found:
        st.caption(
            "No calls. A schedule, an operator or anyone with the secret key can call process-jobs."
        )
        return
    st.dataframe(
        pd.DataFrame(found).assign(took=[duration(call["seconds"]) for call in found]),
        key="calls",
        hide_index=True,
        alt="Calls to process-jobs",
        column_order=["started_at", "state", "took", "processed", "errors", "host"],
        column_config={
            "started_at": time_column("Started", seconds=True),
            "state": "State",
            "took": "Duration",
            "processed": count_column("Processed"),
            "errors": count_column("Errors"),
            "host": "Host",
        },
    )


def call_action() -> Action:
    url, key = functions_url(), project_keys(settings()).secret
    max_jobs = settings().max_parallel_jobs

    def run() -> str:
        with st.spinner("Running jobs", show_time=True):
            call = call_process_jobs(pool(), actor(), url, key, CALL_SECONDS)
        if not call.succeeded:
            st.error("The call failed:", icon=":material/error:")
            st.text(call.message)
            st.stop()
        return f"process-jobs responded: {escaped(call.message)}."

    return Action(
        title="Call process-jobs",
        effect=f"Runs up to {max_jobs:,} pending jobs, as one scheduled call does.",
        button="Call process-jobs",
        run=run,
    )


with rerun_when_reachable():
    pauses = st.container()
    reachable = live(panel)
    if reachable:
        with pauses:
            pause_form()
    # Uncached: something just done in psql, such as storing the key, must count immediately.
    if reachable and (env := read_once("cron", "environment"))["available"]:
        jobs = read_once("cron", "jobs")
        st.header("Schedule process-jobs")
        if request := schedule_form(env, jobs, f"{functions_url()}/functions/v1/process-jobs"):
            ask(schedule_action(request, [job for job in jobs if job["wakes_queue"]]))
        st.caption("All runs in pg_cron's history:")
        csv_export(
            "cron runs",
            RUN_COLUMNS,
            MAX_SHOWN,
            lambda: batches("cron", "runs", {"before": None}, ["run_id"], job_id=None),
        )
