"""What is the throughput, and does the queue keep up?"""

import math
from datetime import UTC, datetime, timedelta

import pandas as pd
import streamlit as st

from lib.formats import duration, plural
from lib.ops.capacity import outlook, slots_for
from lib.ui import charts
from lib.ui.columns import count_column, seconds_column
from lib.ui.dashboard import read, time_zone
from lib.ui.live import live
from lib.ui.time_range import STEP_LENGTHS, time_range

FLOW_COLUMNS = ["at", "arrivals", "ends", "busiest", "queue"]
TIMES_COLUMNS = ["at", "run_p50", "run_p95", "run_p99", "wait_p50", "wait_p95", "wait_p99"]
QUEUE_COUNT_TIMES = {
    "minute": "at the beginning of each minute",
    "hour": "at the beginning of each hour",
    "day": "at the beginning of each hour, and of a day the most",
}

span = time_range()
with st.container(horizontal=True):
    step = st.segmented_control(
        "Jobs per",
        span.steps,
        default=span.steps[0],
        required=True,
        key="per",
        bind="query-params",
        help="Minutes for up to 6 hours, hours for up to 7 days.",
    )
    by = st.segmented_control(
        "By",
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
    jobs((flow["at"].min(), flow["at"].max()))
    left, right = st.columns(2)
    with left:
        arrivals(flow)
    with right:
        queue(flow)
    times = frame(read_times(), TIMES_COLUMNS)
    left, right = st.columns(2)
    with left:
        percentiles(times, "wait", "How long did due jobs wait?")
    with right:
        percentiles(times, "run", "How long did completed jobs run?")
    if times_step != "minute":
        st.caption("Percentiles are at most 5 % off.")
    workers(pace, flow["busiest"].max())


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
            st.success("**Nothing waits.**", icon=":material/check_circle:")
        case "keeping up":
            st.success(
                f"**The queue keeps up.** {facts} That is less than a minute's work.",
                icon=":material/check_circle:",
            )
        case "draining":
            st.warning(
                f"**At this rate the backlog is gone at {format_eta(ahead.seconds)}.** {facts}",
                icon=":material/hourglass_bottom:",
            )
        case "growing":
            st.error(
                f"**At this rate the backlog never empties.** {facts}", icon=":material/error:"
            )


def format_eta(seconds: float) -> str:
    """The time `seconds` from now, with the date unless it is within 20 hours."""
    # Capped: a near-zero rate would overflow the calendar.
    at = datetime.now(time_zone()) + timedelta(seconds=min(seconds, 10**9))
    return f"{at:%H:%M}" if seconds < 20 * 3600 else f"{at:%H:%M on %-d %B %Y}"


def tiles(pace: dict) -> None:
    with st.grid("auto", min_column_width=150, border=True):
        st.metric("Due and waiting", f"{pace['due']:,}")
        st.metric("Running", f"{pace['processing']:,}")
        st.metric("Arrived, last hour", f"{pace['arrived']:,}")
        st.metric("Ended, last hour", f"{pace['ended']:,}")
        st.metric("Mean run, last hour", duration(pace["run_seconds"]))


def jobs(time_span: tuple[datetime, datetime]) -> None:
    ended = frame(read_ended(), ["at", "name", "jobs"]).rename(columns={"name": by})
    ended[by] = ["all others" if pd.isna(name) else name or "no model named" for name in ended[by]]
    charts.show(
        f"How many jobs ended per {step}, by {by}?",
        charts.bars(ended, by, "jobs", step, time_span=time_span),
        ended,
        key="jobs",
        description=f"Stacked bars, {span.description}."
        f" {charts.describe_bars(ended, by, step, 'jobs')}",
        columns={"at": charts.step_column(step), by: by.capitalize(), "jobs": count_column()},
        empty="No job ended in this time. Choose a longer one, or submit a job: page Generate.",
    )
    if (
        step == "minute"
        and span.start
        and (purged := read("throughput", "purged", **span.parameters))
    ):
        st.caption(f"{plural(purged)} of these hours were purged; only hours and days count them.")


def arrivals(flow: pd.DataFrame) -> None:
    # Leave out the step in progress: it would look like a drop to zero.
    is_complete = flow["at"] + STEP_LENGTHS[flow_step] <= datetime.now(UTC)
    complete = flow[flow["arrivals"].notna() & is_complete]
    figures = complete[["at", "arrivals", "ends"]].rename(
        columns={"arrivals": "arrived", "ends": "ended"}
    )
    if not figures[["arrived", "ended"]].to_numpy().any():
        figures = figures.head(0)
    hues = {"arrived": "amber", "ended": "blue"}
    charts.show(
        "Do as many jobs end as arrive?",
        charts.lines(figures, hues, flow_step, f"jobs per {flow_step}", title="jobs that"),
        figures,
        key="arrivals",
        description=f"Two lines, {span.description}. "
        + charts.describe_lines(figures, list(hues), flow_step, f"jobs per {flow_step}"),
        columns={"at": charts.step_column(flow_step)} | dict.fromkeys(hues, count_column()),
        empty=f"No job arrived or ended before the present {flow_step}.",
    )


def queue(flow: pd.DataFrame) -> None:
    sizes = flow[["at", "queue"]]
    if not sizes["queue"].any():
        sizes = sizes.head(0)
    charts.show(
        "How many jobs were in the queue?",
        charts.area(sizes, "queue", flow_step, "jobs", title="in the queue"),
        sizes,
        key="queue",
        description=f"An area, {span.description}."
        f" {charts.describe_lines(sizes, ['queue'], flow_step, 'jobs')}",
        columns={"at": charts.step_column(flow_step), "queue": count_column()},
        empty="The queue was empty all the time.",
    )
    st.caption(
        "In the queue at a moment are the jobs that had been created and had not ended, waiting or"
        f" running. Counted {QUEUE_COUNT_TIMES[flow_step]}."
    )


def percentiles(times: pd.DataFrame, what: str, title: str) -> None:
    names = {f"{what}_{share}": share for share in charts.PERCENTILES}
    figures = times[["at", *names]].rename(columns=names)
    if figures["p50"].isna().all():
        figures = figures.head(0)
    charts.show(
        title,
        charts.lines(figures, charts.PERCENTILES, times_step, "seconds", title="percentile"),
        figures,
        key=what,
        description=f"Three lines, percentiles per {times_step}, {span.description}. "
        + charts.describe_lines(figures, list(charts.PERCENTILES), times_step, "seconds"),
        columns={"at": charts.step_column(times_step)}
        | dict.fromkeys(charts.PERCENTILES, seconds_column()),
        empty="No job that ended in this time had been started.",
    )


def workers(pace: dict, busiest: float) -> None:
    st.header("How many workers would hold the wait?")
    with st.container(horizontal=True):
        within = st.number_input(
            "Wait at most, seconds", 1, 3600, 30, key="wait", bind="query-params", width=220
        )
        at_once = st.number_input(
            "Jobs a worker runs at once", 1, 1000, 10, key="slots", bind="query-params", width=220
        )
    if not pace["run_seconds"]:
        st.info("No job has run in the last hour, so there is no run time to reckon with.")
        return
    with st.grid("auto", min_column_width=260, border=True):
        needed_workers("Needed at the last hour's pace", pace["arrived"], pace, within, at_once)
        if busiest > pace["arrived"]:
            needed_workers("Needed in the busiest hour shown", int(busiest), pace, within, at_once)
        alive = f"{plural(pace['slots'])} at once"
        st.metric("Alive now", plural(pace["workers"], "worker"), alive, **NO_CHANGE)
    st.caption(
        f"So that 95 % of the jobs wait less than {within} s, by Erlang's C formula: they arrive at"
        f" random, and run {duration(pace['run_seconds'])} on average,"
        f" {pace['attempts']:.2f} times each, as in the last hour."
    )


NO_CHANGE = {"delta_color": "off", "delta_arrow": "off"}


def needed_workers(label: str, arrived: int, pace: dict, within: int, at_once: int) -> None:
    load = arrived / 3600 * pace["attempts"] * pace["run_seconds"]
    slots = slots_for(load, pace["run_seconds"], within)
    reason = f"{plural(slots)} at once for {arrived:,} arrivals an hour"
    st.metric(label, plural(math.ceil(slots / at_once), "worker"), reason, **NO_CHANGE)


live(panel)
