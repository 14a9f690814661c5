"""Is the queue healthy?"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import altair as alt
import pandas as pd
import streamlit as st

from lib.actions import ALL_TYPES, pause_queue, resume_queue
from lib.dashboard import (
    REFRESH_SECONDS,
    actor,
    pool,
    read,
    read_anew,
    say_when_away,
    time_column,
)
from lib.formats import duration, escaped, share
from lib.health import verdict

st.title("Overview")


@st.fragment(run_every=REFRESH_SECONDS)
def live() -> None:
    with say_when_away():
        now = read("overview", "now")
        throughput = pd.DataFrame(read("overview", "throughput"), columns=MINUTE_COLUMNS)
        health = pd.DataFrame(read("overview", "health"), columns=HEALTH_COLUMNS)
        workers = pd.DataFrame(read("overview", "workers"), columns=WORKER_COLUMNS)
        say_verdict(now)
        pauses(now)
        tiles(now)
        minutes(throughput)
        types(health)
        seen(workers)


def say_verdict(now: dict) -> None:
    found = verdict(now)
    # The reason may quote a provider, so it is escaped.
    reason = escaped(found.reason)
    match found.level:
        case "good":
            st.success(f"**Healthy.** {reason}", icon=":material/check_circle:")
        case "look":
            st.warning(f"**Look soon.** {reason}", icon=":material/visibility:")
        case "act":
            st.error(f"**Act now.** {reason}", icon=":material/error:")


def pauses(now: dict) -> None:
    with st.container(horizontal=True):
        for job_type in now["paused"]:
            if st.button(f"Resume {type_name(job_type)}", type="primary"):
                ask(resume, job_type)
        if not now["paused"] and st.button("Pause the queue", icon=":material/pause:"):
            ask(pause, now["processing"])


def type_name(job_type: str) -> str:
    return "all jobs" if job_type == ALL_TYPES else job_type


def ask(question: Callable[..., None], about: object) -> None:
    # Asked from outside the live panel, whose next refresh would close its dialogs.
    st.session_state["asked"] = (question, about)
    st.rerun()


def forget() -> None:
    del st.session_state["asked"]


@st.dialog("Pause the queue", on_dismiss=forget)
def pause(processing: int) -> None:
    st.write(
        f"No worker claims another job until you resume. The {processing:,} running go on, and"
        " new ones wait in the queue. The audit log records it as done by:"
    )
    st.text(actor())
    if st.button("Pause", type="primary"):
        with say_when_away():
            pause_queue(pool(), actor())
            done()


@st.dialog("Resume the queue", on_dismiss=forget)
def resume(job_type: str) -> None:
    st.write(
        f"Workers claim {type_name(job_type)} again at once. The audit log records it as done by:"
    )
    st.text(actor())
    if st.button("Resume", type="primary"):
        with say_when_away():
            resume_queue(pool(), actor(), job_type)
            done()


def done() -> None:
    read_anew()
    forget()
    st.rerun()


def tiles(now: dict) -> None:
    ended = now["last_hour_completed"] + now["last_hour_failed"]
    with st.grid("auto", min_column_width=170, border=True):
        st.metric("Waiting", f"{now['pending']:,}", help="Pending jobs, later retries included.")
        st.metric("Longest wait", duration(now["oldest_due_seconds"]), help="Of a job that is due.")
        st.metric("Running", f"{now['processing']:,}")
        with st.container():
            st.metric("Stuck", f"{now['stuck']:,}", help="Ten minutes without a sign of life.")
            if now["stuck"]:
                st.page_link("pages/stuck_jobs.py", label="Reset them")
        st.metric("Completed, last hour", f"{now['last_hour_completed']:,}")
        st.metric(
            "Failed, last hour",
            share(now["last_hour_failed"], ended),
            help="Share of the jobs that ended as completed or failed.",
        )
        st.metric("Mean wait, last hour", duration(now["last_hour_wait_seconds"]))
        st.metric("Workers alive", now["workers_alive"], help="Seen in the last minute.")


MINUTE_COLUMNS = ["minute", "status", "jobs"]


def minutes(throughput: pd.DataFrame) -> None:
    st.subheader("How many jobs ended in each minute of the last hour?")
    if throughput.empty:
        st.info("No job has ended in the last hour.")
        return
    end = datetime.now(UTC)
    chart = (
        alt.Chart(throughput)
        .mark_bar(size=6)
        .encode(
            x=alt.X("minute:T", title=None, axis=alt.Axis(format="%H:%M")).scale(
                domain=[end - timedelta(hours=1), end]
            ),
            y=alt.Y("jobs:Q", title="jobs per minute").axis(tickMinStep=1),
            color=alt.Color("status:N", title=None).scale(
                domain=["completed", "failed", "cancelled"], range=["#2f9e6e", "#d64545", "#8a8f98"]
            ),
            tooltip=[alt.Tooltip("minute:T", format="%H:%M"), "status", "jobs"],
        )
        .properties(height=220)
    )
    st.altair_chart(chart, key="minutes")
    with st.expander("As a table"):
        st.dataframe(throughput, hide_index=True, column_config={"minute": time_column("HH:mm")})


HEALTH_COLUMNS = ["job_type", "status", "count", "avg_seconds", "oldest", "newest"]


def types(health: pd.DataFrame) -> None:
    st.subheader("What waits and runs now, and what ended in the last 24 hours?")
    if health.empty:
        st.info("The queue is empty, and nothing has ended since yesterday.")
        st.page_link("pages/generate.py", label="Submit a generation", icon=":material/add:")
        return
    st.dataframe(
        health,
        hide_index=True,
        placeholder="–",
        column_config={
            "job_type": "Type",
            "status": "Status",
            "count": st.column_config.NumberColumn("Jobs", format="localized"),
            "avg_seconds": st.column_config.NumberColumn("Mean run", format="%.1f s"),
            "oldest": time_column("D MMM HH:mm", "Oldest"),
            "newest": time_column("D MMM HH:mm", "Newest"),
        },
    )


WORKER_COLUMNS = [
    "state", "kind", "host", "pid", "running", "concurrency", "processed", "errors",
    "started_at", "last_seen_at",
]  # fmt: skip


def seen(workers: pd.DataFrame) -> None:
    st.subheader("Which workers have been seen in the last hour?")
    if workers.empty:
        st.info("None. Start one with: python -m lib.worker")
        return
    st.dataframe(
        workers,
        hide_index=True,
        placeholder="–",
        column_config={
            "state": "State",
            "kind": "Kind",
            "host": "Host",
            "pid": st.column_config.NumberColumn("Process", format="%d"),
            "running": "Running",
            "concurrency": st.column_config.NumberColumn("At once", help="Jobs it runs at once."),
            "processed": st.column_config.NumberColumn("Processed", format="localized"),
            "errors": st.column_config.NumberColumn("Errors", format="localized"),
            "started_at": time_column("D MMM HH:mm:ss", "Started"),
            "last_seen_at": time_column("HH:mm:ss", "Last seen"),
        },
    )


if "asked" in st.session_state:
    question, about = st.session_state["asked"]
    question(about)
live()
