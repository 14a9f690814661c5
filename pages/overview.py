"""Is the queue healthy, and if not, what should I do?"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lib.checks.error_guide import UNKNOWN, guide
from lib.checks.health import Verdict, verdict
from lib.checks.refusals import is_refusal, refusal_sentence
from lib.formats import duration, escaped, percent, plural, share
from lib.ops.action_texts import RETRY_ADVICE
from lib.queue.queue_state import QueueState
from lib.ui import tiles
from lib.ui.confirm import ask, confirmations
from lib.ui.dashboard import read, read_once
from lib.ui.flow_chart import describe_flow, flow_chart, show_flow, step_words
from lib.ui.images import thumbnail_sources
from lib.ui.live import live
from lib.ui.navigation import link
from lib.ui.parts import job_dialogs
from lib.ui.parts.flow_window import flow_window, read_flow
from lib.ui.parts.status_strip import is_paused, pause_button, sample_line, status_strip
from lib.ui.tiles import Tile
from lib.ui.time_range import RANGES, custom_range

LAST_HOUR = "1 h"
NO_USUAL = "no baseline yet"
MAX_RETRIED = 100_000
IMAGE_WIDTH = 72


def panel() -> None:
    now: QueueState = read("overview", "now")
    if is_paused(now) != st.session_state.get("queue paused"):
        # The pause button is outside the panel.
        st.rerun()
    found = verdict(now)
    status_strip(now, found)
    tiles.show(figures(now, read("overview", "hours"), found))
    flow()
    left, right = st.columns(2)
    with left:
        top_failures()
    with right:
        running_jobs(now)
    recent_images()
    sample_line()


def figures(now: QueueState, hours: Sequence[Mapping[str, Any]], found: Verdict) -> list[Tile]:
    def of_hours(name: str, last: float | None) -> list[float]:
        return tiles.curve([hour[name] for hour in hours], last)

    oldest, usual_share = now["oldest_pending_seconds"], now["usual_failure_share"]
    failure_share, usual_completed = now["last_hour_failure_share"], now["usual_completed"]
    usual_wait = now["usual_wait_p95"]
    stuck = f", {now['stuck']:,} stuck" if now["stuck"] else ""
    ended = now["last_hour_completed"] + now["last_hour_failed"]
    return [
        Tile(
            "Pending",
            f"{now['pending']:,}",
            f"oldest {duration(oldest)}" if oldest and oldest > 0 else "none due",
            "jobs",
            "Pending jobs, including retries in backoff, and the longest wait among those due.",
            found.level_of(["waits_too_long", "pending_jobs", "provider_down"]),
            of_hours("pending", now["pending"]),
            filters={"view": "pending"},
        ),
        Tile(
            "Running",
            f"{now['processing'] - now['stuck']:,} of {now['slots']:,}",
            plural(now["workers_alive"], "worker") + stuck,
            "workers",
            "Running jobs with a heartbeat, out of the slots of all live workers.",
            found.level_of(["no_worker", "worker_gone", "stuck", "storage_failed"]),
            of_hours("processing", now["processing"] - now["stuck"]),
        ),
        Tile(
            "Failure rate",
            share(now["last_hour_failed"], ended),
            NO_USUAL
            if failure_share is None or usual_share is None
            else f"{100 * (failure_share - usual_share):+.1f} points vs usual",
            "failures",
            "Failed jobs as a share of those that completed or failed in the last hour. Refused"
            f" jobs ({now['last_hour_refused']:,}) are not counted. Compared with the average for"
            " the same hour on the previous 7 days.",
            found.level_of(["many_failures"]),
            of_hours("failure_share", failure_share),
            percent,
            {"time": LAST_HOUR},
        ),
        Tile(
            "p95 wait",
            duration(now["wait_p95"]),
            NO_USUAL if usual_wait is None else f"usual {duration(usual_wait)}",
            "throughput",
            "95% of the jobs that ended in the last 15 min started within this time of becoming"
            " due. Compared with the same hour on the previous 7 days.",
            found.level_of(["wait_p95"]),
            of_hours("wait_p95", now["wait_p95"]),
            duration,
        ),
        Tile(
            "Completed",
            f"{now['last_hour_completed'] / 60:,.1f} / min",
            NO_USUAL if usual_completed is None else f"usual {usual_completed / 60:,.1f}",
            "throughput",
            "Jobs completed per minute in the last hour. Compared with the average for the same"
            " hour on the previous 7 days.",
            found.level_of(["no_completion"]),
            tiles.curve(
                [hour["completed"] / 60 for hour in hours], now["last_hour_completed"] / 60
            ),
        ),
    ]


def flow() -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Jobs", width="content")
        window = flow_window()
        steps, events = read_flow(window), read("overview", "events", length=window.length)
        chart = flow_chart(steps, events, window.step)
        st.caption(chart.note)
        link("throughput", "Throughput")
    if not any(
        row[name]
        for row in steps
        for name in ("arrived", "completed", "failed", "refused", "depth")
    ):
        st.caption(f"No jobs in the last {window.name}.")
        return
    description = (
        f"Jobs in the last {window.name} per {step_words(window.step)}:"
        f" {describe_flow(steps, events)}"
    )
    if clicked := show_flow(chart, description):
        st.switch_page(
            "pages/jobs.py", query_params={"view": "all", **custom_range(clicked, window.step)}
        )


def top_failures() -> None:
    found = read("overview", "failures")
    groups = [group for group in found if not is_refusal(group)]
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.header("Top failures, last hour", width="content")
        if groups and groups[0]["kinds"] > len(groups):
            link("failures", f"All {groups[0]['kinds']} groups", time=LAST_HOUR)
    if not groups:
        st.caption("No failures.")
    with st.container(gap="xsmall"):
        for group in groups:
            failure_group(group)
    for group in found[len(groups) :]:
        with st.container(gap=None):
            link("failures", f"**{group['refused']:,}** Refused", None, time=LAST_HOUR)
            st.caption(escaped(refusal_sentence(group)))


def failure_group(group: Mapping[str, Any]) -> None:
    entry, jobs = guide(group["error_code"], group["error_group"]), group["jobs"]
    title = entry.title
    if entry is UNKNOWN and group["error_group"]:
        title = escaped(group["error_group"][:60])
    filters = {"kind": group["key"], "time": LAST_HOUR}
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        link("failures", f"**{jobs:,}** {title}", None, **filters)
        st.image(
            tiles.sparkline(group["trend"], tiles.CURVE_COLORS["good"]),
            width=60,
            alt=f"Failed jobs per hour in the last day: peak {max(group['trend']):,},"
            f" {group['trend'][-1]:,} in the current hour.",
        )
        advice = RETRY_ADVICE[entry.retry]
        with st.container(width=115, horizontal_alignment="right"):
            if entry.retry == "useless":
                link("failures", "Show group", **filters)
            elif st.button(
                f"Retry all {jobs:,}", key=f"retry {group['key']}", help=f"{entry.meaning} {advice}"
            ):
                confirm_retry(group["key"], advice)


def confirm_retry(key: str, advice: str) -> None:
    found = read_once(
        "failures", "failed_ids", start=None, length=RANGES[LAST_HOUR], key=key, most=MAX_RETRIED
    )
    ask(job_dialogs.retry([row["id"] for row in found], advice))


def running_jobs(now: QueueState) -> None:
    jobs = read("overview", "running")
    # In a row as the heading of the failures is, or it would stand lower.
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.header("Running jobs", width="content")
        if now["processing"] - now["stuck"] > len(jobs):
            link("jobs", f"All {now['processing'] - now['stuck']:,}", view="running")
    if not jobs:
        st.caption("No jobs running.")
    for job in jobs:
        model = (job["model_id"] or job["job_type"]).rpartition("/")[2]
        name = escaped(" · ".join(filter(None, [model, (job["prompt"] or "")[:40]])))
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            link("job", name, ":material/image:", id=str(job["id"]))
            progress = job["progress"] or 0
            st.progress(progress / 100, f"{progress}% · {duration(job['seconds'])}", width=150)


def recent_images() -> None:
    rows = read("overview", "images")
    if rows:
        st.header("Latest images")
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for row, source in zip(rows, thumbnail_sources(rows), strict=True):
            if source:
                alt = row["prompt"] or f"Image by {row['model_id']}"
                st.image(source, width=IMAGE_WIDTH, alt=alt, link=f"/job?id={row['id']}")


confirmations()
live(panel, beside=pause_button)
