"""How many jobs arrive and end, how long do they take, and is the queue keeping up?"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import duration, escaped, plural
from lib.ops.capacity import outlook, slots_for
from lib.ui import charts
from lib.ui.columns import count_column, seconds_column
from lib.ui.dashboard import format_time, read, read_once, time_zone
from lib.ui.export import csv_export
from lib.ui.live import live
from lib.ui.time_range import STEP_LENGTHS, time_range

FLOW_COLUMNS = ["at", "arrivals", "ends", "busiest", "queue"]
DUE = "Excludes retries in backoff and jobs scheduled for later."
TIMES_COLUMNS = ["at", "run_p50", "run_p95", "run_p99", "wait_p50", "wait_p95", "wait_p99"]

span = time_range()
with st.container(horizontal=True):
    step = span.steps[0]
    if len(span.steps) > 1:
        step = st.segmented_control(
            "Jobs per",
            span.steps,
            default=step,
            required=True,
            key="per",
            bind="query-params",
            help="Minutes for ranges up to 6 hours, hours up to 7 days.",
        )
    by = st.segmented_control(
        "Group by",
        ["status", "type", "model"],
        default="status",
        required=True,
        key="by",
        bind="query-params",
    )
# Data by the minute is read row by row: percentiles only for ranges with few rows, arrivals only
# for ranges that end now.
rollup_step = "hour" if step == "minute" else step
flow_step = "minute" if step == "minute" and span.start is None else rollup_step
times_step = "minute" if span.steps == ("minute",) else rollup_step


def panel() -> None:
    pace = read("throughput", "pace")
    show_outlook(pace)
    tiles(pace)
    flow = frame(read_flow(), FLOW_COLUMNS)
    window = shown_window(flow)
    jobs(window)
    left, right = st.columns(2)
    with left:
        arrivals(flow, window)
    with right:
        queue(flow, window)
    times = frame(read_times(), TIMES_COLUMNS)
    left, right = st.columns(2)
    with left:
        percentiles(times, "wait", "Wait time", window)
    with right:
        percentiles(times, "run", "Run time of completed jobs", window)
    if times_step != "minute":
        st.caption("Percentiles are accurate to within 10%, usually 1%.")
    workers(pace, flow["busiest"].max())
    health_table(read("overview", "health"))


def shown_window(flow: pd.DataFrame) -> charts.Window:
    """The time axis of all charts: from the first step to now, or to the end of the last step."""
    end = flow["at"].max() + (timedelta() if span.start is None else STEP_LENGTHS[flow_step])
    return flow["at"].min(), min(end, pd.Timestamp.now(UTC))


def read_flow() -> list[dict]:
    if flow_step == "minute":
        return read("throughput", "flow_by_minute", length=span.length)
    return read("throughput", "flow", bucket=flow_step, **span.parameters)


def read_times() -> list[dict]:
    if times_step == "minute":
        return read("throughput", "times_by_minute", **span.parameters)
    return read("throughput", "times", bucket=times_step, **span.parameters)


def read_ended() -> list[dict]:
    if step == "minute":
        return read("throughput", "ended_by_minute", by=by, **span.parameters)
    return read("throughput", "ended", by=by, bucket=step, **span.parameters)


def frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    figures = pd.DataFrame(rows, columns=columns)
    # Without rows, pandas cannot infer the type.
    return figures.assign(at=pd.to_datetime(figures["at"], utc=True))


def show_outlook(pace: dict) -> None:
    ahead = outlook(pace["due"], pace["arrived"], pace["ended"])
    facts = (
        f"{plural(pace['due'])} due; in the last hour {pace['arrived']:,} arrived and"
        f" {pace['ended']:,} ended."
    )
    match ahead.state:
        case "empty":
            st.success("**No jobs due.**", icon=":material/check_circle:")
        case "keeping up":
            st.success(
                f"**The queue is keeping up.** {facts} The backlog is less than a minute's work.",
                icon=":material/check_circle:",
            )
        case "draining":
            st.warning(
                f"**At this rate, the backlog clears at {format_eta(ahead.seconds)}.** {facts}",
                icon=":material/hourglass_bottom:",
            )
        case "growing":
            st.error(f"**The backlog is growing.** {facts}", icon=":material/error:")


def format_eta(seconds: float) -> str:
    """The time `seconds` from now, with the date unless it is within 20 hours."""
    # Capped: a near-zero rate would overflow the calendar.
    at = datetime.now(time_zone()) + timedelta(seconds=min(seconds, 10**9))
    return f"{at:%H:%M}" if seconds < 20 * 3600 else f"{at:%H:%M on %-d %B %Y}"


def tiles(pace: dict) -> None:
    with st.grid(5, min_column_width=150, border=True):
        st.metric("Pending, due now", f"{pace['due']:,}", help=DUE)
        stuck = f"{pace['stuck']:,} stuck" if pace["stuck"] else None
        running = f"{pace['processing'] - pace['stuck']:,}"
        st.metric("Running", running, stuck, delta_color="off", delta_arrow="off")
        st.metric("Arrived, last hour", f"{pace['arrived']:,}")
        st.metric("Ended, last hour", f"{pace['ended']:,}")
        st.metric("Mean run, last hour", duration(pace["run_seconds"]))


def jobs(window: charts.Window) -> None:
    ended = frame(read_ended(), ["at", "name", "jobs"]).rename(columns={"name": by})
    ended[by] = ["all others" if pd.isna(name) else name or "no model" for name in ended[by]]
    charts.show(
        f"Ended jobs per {step}, by {by}",
        charts.bars(ended, by, "jobs", step, window=window),
        ended,
        key="jobs",
        description=f"Stacked bar chart, {span.description}."
        f" {charts.describe_bars(ended, by, step, 'jobs')}",
        columns={"at": charts.step_column(step), by: by.capitalize(), "jobs": count_column()},
    )
    if (
        step == "minute"
        and span.start
        and (purged := read("throughput", "purged", **span.parameters))
    ):
        st.caption(
            f"{plural(purged, 'purged job')} missing from this chart. The hourly and daily charts"
            " include purged jobs."
        )


def arrivals(flow: pd.DataFrame, window: charts.Window) -> None:
    # Leave out the step in progress: it would look like a drop to zero.
    is_complete = flow["at"] + STEP_LENGTHS[flow_step] <= datetime.now(UTC)
    complete = flow[flow["arrivals"].notna() & is_complete]
    figures = complete[["at", "arrivals", "ends"]].rename(
        columns={"arrivals": "arrived", "ends": "ended"}
    )
    if not figures[["arrived", "ended"]].to_numpy().any():
        figures = figures.head(0)
    hues = {"arrived": charts.COLORS["arrived"], "ended": "gray"}
    charts.show(
        "Arrived and ended jobs",
        charts.lines(
            figures, hues, flow_step, f"jobs per {flow_step}", title="jobs", window=window
        ),
        figures,
        key="arrivals",
        description=f"Line chart, {span.description}. "
        + charts.describe_lines(figures, list(hues), flow_step, f"jobs per {flow_step}"),
        columns={"at": charts.step_column(flow_step)} | dict.fromkeys(hues, count_column()),
        empty=f"No jobs arrived or ended before the current {flow_step}.",
    )


def queue(flow: pd.DataFrame, window: charts.Window) -> None:
    sizes = flow[["at", "queue"]]
    if not sizes["queue"].any():
        sizes = sizes.head(0)
    charts.show(
        "Queue depth",
        charts.area(sizes, "queue", flow_step, "jobs", title="pending and running", window=window),
        sizes,
        key="queue",
        description=f"Area chart, {span.description}."
        f" {charts.describe_lines(sizes, ['queue'], flow_step, 'jobs')}",
        columns={"at": charts.step_column(flow_step), "queue": count_column()},
        empty="The queue was empty, or its depth was not sampled.",
    )
    st.caption(
        f"Peak number of pending and running jobs in each {flow_step}, sampled every minute while"
        " a worker is alive."
    )


def percentiles(times: pd.DataFrame, what: str, title: str, window: charts.Window) -> None:
    names = {f"{what}_{share}": share for share in charts.PERCENTILES}
    figures = times[["at", *names]].rename(columns=names)
    if figures["p50"].isna().all():
        figures = figures.head(0)
    charts.show(
        title,
        charts.lines(
            figures, charts.PERCENTILES, times_step, "seconds", title="percentile", window=window
        ),
        figures,
        key=what,
        description=f"Line chart of three percentiles per {times_step}, {span.description}. "
        + charts.describe_lines(figures, list(charts.PERCENTILES), times_step, "seconds"),
        columns={"at": charts.step_column(times_step)}
        | dict.fromkeys(charts.PERCENTILES, seconds_column()),
        empty="No jobs ran and ended in this time range.",
    )


def workers(pace: dict, busiest: float) -> None:
    st.header("Workers needed")
    with st.container(horizontal=True):
        within = st.number_input(
            "Target wait (s)", 1, 3600, 30, key="wait", bind="query-params", width=220
        )
        at_once = st.number_input(
            "Concurrency per worker", 1, 1000, 10, key="slots", bind="query-params", width=220
        )
    if not pace["run_seconds"]:
        st.info("No job ran in the last hour, so the run time is unknown.")
        return
    with st.grid("auto", min_column_width=260, border=True):
        needed_workers("At the last hour's rate", pace["arrived"], pace, within, at_once)
        if busiest > pace["arrived"]:
            needed_workers("In the busiest hour shown", int(busiest), pace, within, at_once)
        alive = plural(pace["slots"], "slot")
        st.metric("Alive now", plural(pace["workers"], "worker"), alive, **NO_CHANGE)
    st.caption(
        f"Workers needed for 95% of jobs to wait less than {within} s, by the Erlang C formula for"
        f" random arrivals, at the last hour's mean run time of {duration(pace['run_seconds'])}"
        f" and {pace['attempts']:.2f} attempts per job."
    )


NO_CHANGE = {"delta_color": "off", "delta_arrow": "off"}


def needed_workers(label: str, arrived: int, pace: dict, within: int, at_once: int) -> None:
    load = arrived / 3600 * pace["attempts"] * pace["run_seconds"]
    slots = slots_for(load, pace["run_seconds"], within)
    reason = f"{plural(slots, 'slot')} for {arrived:,} arrivals per hour"
    st.metric(label, plural(math.ceil(slots / at_once), "worker"), reason, **NO_CHANGE)


HEALTH_HEAD = """\
| Status | Jobs | Mean run time | Created |
|---|---:|---:|---|
"""
HEALTH_COLUMNS = ["job_type", "status", "count", "avg_seconds", "oldest", "newest"]


def health_table(health: list[dict[str, Any]]) -> None:
    st.header("Jobs by status, last 24 h")
    if not health:
        st.info("No jobs in the last 24 hours.")
    # As Markdown: the code of Streamlit's tables is a third of what a first visit downloads.
    for job_type, rows in groupby(health, itemgetter("job_type")):
        st.markdown(f"**{escaped(job_type)}**\n\n{HEALTH_HEAD}" + "".join(map(health_row, rows)))


def health_row(row: Mapping[str, Any]) -> str:
    created = escaped(f"{format_time(row['oldest'])} to {format_time(row['newest'])}")
    run = duration(row["avg_seconds"])
    status = "running" if row["status"] == "processing" else row["status"]
    return f"| {status} | {row['count']:,} | {run} | {created} |\n"


live(panel)
csv_export("queue health", HEALTH_COLUMNS, 20, lambda: [read_once("overview", "health")])
