"""Is the queue healthy?"""

from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.health import LEVEL_LABELS, Condition, Verdict, verdict
from lib.formats import duration, escaped, number, percent, plural, share
from lib.ops.conditions import type_name
from lib.queue.operator_actions import ALL_TYPES, pause_queue, resume_queue
from lib.queue.queue_state import QueueState
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, format_time, pool, read, read_once
from lib.ui.export import csv_export
from lib.ui.live import live
from lib.ui.navigation import link
from lib.ui.tiles import Tile, curve, difference, show

MAX_EXPLAINED = 4
"""Conditions explained in full for each page; the rest are counted."""


def panel() -> None:
    now: QueueState = read("overview", "now")
    hours = pd.DataFrame(read("overview", "hours"), columns=HOUR_COLUMNS)
    health = read("overview", "health")
    first_look = read("overview", "first_look")
    found = verdict(now)
    show_verdict(found)
    if first_look == "sample" or (first_look == "empty" and not health):
        show_welcome(first_look)
    resume_buttons(now)
    show(
        [*state_tiles(now), *failure_tiles(now, hours), *flow_tiles(now, hours)],
        {condition.name for condition in found.conditions},
    )
    st.caption(
        "Changes are against usual, the mean of the same hour of the previous seven days. A curve"
        " shows the last 24 full hours and at its end the last hour, from their lowest to their"
        " highest value."
    )
    pause_button(now)
    health_table(health)


def show_verdict(found: Verdict) -> None:
    if not found.conditions:
        st.success(f"**{LEVEL_LABELS['good']}.** {found.reason}", icon=":material/check_circle:")
    for (level, page), group in groupby(found.conditions, attrgetter("level", "page")):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            show_conditions(level, list(group))
            if page:
                link(page)


def show_conditions(level: str, conditions: list[Condition]) -> None:
    # A reason may quote a provider.
    reasons = [escaped(condition.reason) for condition in conditions[:MAX_EXPLAINED]]
    if more := len(conditions) - len(reasons):
        reasons.append(f"And {more} more.")
    text = f"**{LEVEL_LABELS[level]}.** " + "  \n".join(reasons)
    if level == "critical":
        st.error(text, icon=":material/error:")
    else:
        st.warning(text, icon=":material/visibility:")


WELCOME = {
    "empty": "Each image that an application asks for becomes a job in the queue: a worker takes"
    " it, has the model make the image and stores it. This page says whether that goes well, and"
    " what to do when it does not. No job has been here yet.",
    "sample": "Each image that an application asks for becomes a job in the queue, and this page"
    " says whether they get done. What you see now are thirty days of invented jobs, so that every"
    " page has something to show; those that are stuck are there for you to reset. The queue and"
    " its worker are real: what you submit runs through them.",
}


def show_welcome(first_look: str) -> None:
    with st.container(border=True):
        st.markdown(f"**Welcome to Darkroom.** {WELCOME[first_look]}")
        link("generate", "Submit your first generation", ":material/add_photo_alternate:")


def resume_buttons(now: QueueState) -> None:
    with st.container(horizontal=True):
        for job_type in (pause["job_type"] for pause in now["paused"]):
            label = f"Resume {escaped(type_name(job_type))}"
            if st.button(
                label, key=f"resume {job_type}", type="primary", icon=":material/play_arrow:"
            ):
                ask(resume_action(job_type))


def pause_button(now: QueueState) -> None:
    if ALL_TYPES in (pause["job_type"] for pause in now["paused"]):
        return
    if st.button("Pause the queue", icon=":material/pause:"):
        ask(pause_action(now["processing"]))


def pause_action(processing: int) -> Action:
    def run() -> str:
        pause_queue(pool(), actor())
        return "No job is claimed any more until you resume."

    return Action(
        title="Pause the queue",
        effect=f"No worker claims another job until you resume. {plural(processing)} that run now"
        " go on, and new ones wait in the queue.",
        button="Pause",
        run=run,
    )


def resume_action(job_type: str) -> Action:
    name = escaped(type_name(job_type))

    def run() -> str:
        lifted = resume_queue(pool(), actor(), job_type)
        return f"Workers claim {name} again." if lifted else f"{name} were no longer paused."

    return Action(
        title="Resume the queue",
        effect=f"Workers claim {name} again at once.",
        button="Resume",
        run=run,
    )


HOUR_COLUMNS = [
    "hour",
    "live",
    "completed",
    "failed",
    "failure_share",
    "wait_seconds",
    "run_seconds",
]


def state_tiles(now: QueueState) -> list[Tile]:
    """Current state."""
    return [
        Tile(
            "Oldest pending",
            duration(now["oldest_pending_seconds"]),
            "throughput",
            "The longest wait of a job whose time has come.",
            condition="waits_too_long",
        ),
        Tile(
            "Processing",
            f"{now['processing']:,}",
            "jobs",
            "Jobs that run, and how many the living workers run at once.",
            f"of {now['slots']:,} at once",
            is_change=False,
            filters={"status": "processing"},
        ),
        Tile(
            "Stuck",
            f"{now['stuck']:,}",
            "stuck_jobs",
            "Running without a heartbeat from a worker for too long.",
            condition="stuck",
        ),
        Tile(
            "Last completion",
            duration(now["last_completion_seconds"]),
            "jobs",
            "How long ago a job last completed.",
            filters={"status": "completed"},
        ),
    ]


def failure_tiles(now: QueueState, hours: pd.DataFrame) -> list[Tile]:
    """Failures and workers."""
    return [
        Tile(
            "Failure rate",
            share(now["last_hour_failed"], now["last_hour_completed"] + now["last_hour_failed"]),
            "failures",
            "Share that failed of the jobs that completed or failed in the last hour.",
            difference(
                now["last_hour_failure_share"],
                now["usual_failure_share"],
                lambda points: f"{100 * points:.1f} points",
            ),
            curve=curve(hours["failure_share"], now["last_hour_failure_share"]),
            format_value=percent,
            condition="many_failures",
        ),
        Tile(
            "Failed",
            f"{now['last_hour_failed']:,}",
            "failures",
            "Jobs that failed for good in the last hour.",
            difference(now["last_hour_failed"], now["usual_failed"], lambda jobs: f"{jobs:,.0f}"),
            curve=curve(hours["failed"], now["last_hour_failed"]),
        ),
        Tile(
            "Retrying",
            f"{now['retrying']:,}",
            "failures",
            "Pending jobs that have failed before and have attempts left.",
            condition="provider_down",
        ),
        Tile(
            "Workers alive",
            f"{now['workers_alive']:,}",
            "workers",
            "Seen in the last minute.",
            condition="no_worker",
        ),
    ]


def flow_tiles(now: QueueState, hours: pd.DataFrame) -> list[Tile]:
    """Throughput and latency."""
    live = now["pending"] + now["processing"]
    difference_text = difference(live, now["live_before"], number)
    return [
        Tile(
            "Pending",
            f"{now['pending']:,}",
            "jobs",
            "Jobs that wait, later retries included. Change and curve count the running ones too.",
            difference_text and f"{difference_text} in 1 h",
            curve=[*hours["live"], live],
            filters={"status": "pending"},
        ),
        Tile(
            "Throughput",
            f"{now['last_hour_completed'] / 60:,.1f} / min",
            "throughput",
            "Jobs completed per minute, mean of the last hour.",
            difference(
                now["last_hour_completed"] / 60,
                now["usual_completed"] and now["usual_completed"] / 60,
                lambda jobs: f"{jobs:,.1f}",
            ),
            curve=curve(hours["completed"] / 60, now["last_hour_completed"] / 60),
        ),
        Tile(
            "Mean wait",
            duration(now["last_hour_wait_seconds"]),
            "throughput",
            "From due to started, of the jobs that ended in the last hour.",
            difference(now["last_hour_wait_seconds"], now["usual_wait_seconds"], duration),
            curve=curve(hours["wait_seconds"], now["last_hour_wait_seconds"]),
            format_value=duration,
        ),
        Tile(
            "Mean run",
            duration(now["last_hour_run_seconds"]),
            "models",
            "From started to ended, of the jobs that ended in the last hour.",
            difference(now["last_hour_run_seconds"], now["usual_run_seconds"], duration),
            curve=curve(hours["run_seconds"], now["last_hour_run_seconds"]),
            format_value=duration,
        ),
    ]


HEALTH_HEAD = """\
| Status | Jobs | Mean run | Created |
|---|---:|---:|---|
"""
HEALTH_COLUMNS = ["job_type", "status", "count", "avg_seconds", "oldest", "newest"]


def health_table(health: list[dict[str, Any]]) -> None:
    st.header("What waits and runs now, and what ended in the last 24 hours?")
    if not health:
        st.info("The queue is empty, and nothing has ended since yesterday.")
        link("generate", "Submit a generation", ":material/add:")
        return
    # As Markdown: the code of Streamlit's tables is a fifth of what a first visit downloads.
    for job_type, rows in groupby(health, itemgetter("job_type")):
        st.markdown(f"**{escaped(job_type)}**\n\n{HEALTH_HEAD}" + "".join(map(health_row, rows)))


def health_row(row: Mapping[str, Any]) -> str:
    created = escaped(f"{format_time(row['oldest'])} to {format_time(row['newest'])}")
    run = duration(row["avg_seconds"])
    return f"| {row['status']} | {row['count']:,} | {run} | {created} |\n"


confirmations()
live(panel)
csv_export("queue health", HEALTH_COLUMNS, 20, lambda: [read_once("overview", "health")])
