"""A test run, running or finished: state of each job, images side by side, durations."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.job_state import job_state
from lib.formats import duration, escaped, plural
from lib.ops.test_runs.phases import LIVE, PHASES, overdue, phase, queue_position, timings
from lib.ui.columns import count_column, job_column, job_links, seconds_column
from lib.ui.confirm import ask
from lib.ui.dashboard import format_time, read
from lib.ui.images import archive, file_name, image_bytes, show_image
from lib.ui.parts import job_dialogs
from lib.ui.parts.test_run_list import delete_action
from lib.ui.selection import selectable

Row = Mapping[str, Any]
MAX_CARDS = 16
"""Larger runs are shown as a table, with paginated images."""
IMAGES_PER_PAGE = 12
STARTING_SECONDS = 10
"""Grace period before jobs that were not started are reported."""
DUE_GRACE_SECONDS = 3
"""A job due for longer than this gets an explanation."""


def is_live(run: Row, jobs: Sequence[Row]) -> bool:
    """Whether the run has jobs that are pending, running or not yet started."""
    missing = run["started"] < run["jobs"] and run["age_seconds"] < STARTING_SECONDS
    return missing or any(job["status"] in LIVE for job in jobs)


def show_run(run: Row, jobs: Sequence[Row], usual: Mapping[str, float]) -> None:
    """Draw a run from the queries `run` and `jobs` of queries/generate.sql.

    `usual` is the median run time of each model, in seconds.
    """
    names = {row["id"]: row["display_name"] for row in read("generate", "models")}
    st.header("This run")
    st.text(run["prompt"])
    at = format_time(run["created_at"], seconds=True)
    st.text(f"Submitted {at} by {run['actor']}. {phase_counts(jobs)}")
    buttons(run, jobs)
    show_problems(run, jobs, usual)
    is_large = len(jobs) > MAX_CARDS
    if is_large:
        tiles(run, jobs)
    if is_large or len(run["models"]) > 1:
        comparison(run, jobs, usual, names)
    if is_large:
        table(jobs)
        images(jobs, usual, names)
    else:
        cards(run, jobs, usual, names)


def phase_counts(jobs: Sequence[Row]) -> str:
    """Number of jobs in each phase, such as "1 queued, 3 completed"."""
    found = Counter(map(phase, jobs))
    summary = [f"{found[name]:,} {name.lower()}" for name in PHASES if found[name]]
    return f"{', '.join(summary)}, {len(jobs):,} in all." if summary else "Nothing was started yet."


def with_queue_position(words: str, job: Row) -> str:
    place = queue_position(job)
    return f"{words}, {place}" if place else words


def buttons(run: Row, jobs: Sequence[Row]) -> None:
    live = [job["job_id"] for job in jobs if job["status"] in LIVE]
    with st.container(horizontal=True):
        if st.button("Change and submit again", icon=":material/edit:"):
            st.session_state["refill"] = run["settings"]
            st.rerun()
        if live and st.button(
            f"Cancel {plural(len(live))}", key="cancel run", icon=":material/cancel:"
        ):
            ask(job_dialogs.cancel(live))
        if st.button("Delete this run", icon=":material/delete:"):
            ask(delete_action([run["id"]], len(jobs), len(live)))
        done = [job for job in jobs if job["status"] == "completed"]
        if 1 < len(done) <= MAX_CARDS:
            st.download_button(
                f"Download {len(done)} images",
                partial(archive, done),
                f"run-{str(run['id'])[:8]}.zip",
                "application/zip",
                icon=":material/download:",
                on_click="ignore",
                key="all images",
            )


def show_problems(run: Row, jobs: Sequence[Row], usual: Mapping[str, float]) -> None:
    if run["started"] < run["jobs"] and run["age_seconds"] > STARTING_SECONDS:
        st.warning(
            f"Only {run['started']:,} of {plural(run['jobs'])} were started: the rest was refused,"
            " or the app was stopped meanwhile. Submit it again.",
            icon=":material/warning:",
        )
    waiting = [
        job
        for job in jobs
        if job["status"] == "queued"
        and (job["wait_seconds"] > DUE_GRACE_SECONDS or job["attempts"])
    ]
    if waiting and (first := read("job", "job", id=waiting[0]["job_id"])):
        found = job_state(first)
        if found.level in ("held", "act"):
            # May quote errors and names.
            which = f"**Job {waiting[0]['place']}.** " if len(jobs) > 1 else ""
            st.warning(which + escaped(found.sentence), icon=":material/pause_circle:")
    late = sum(overdue(job, usual.get(job["model_id"])) for job in jobs)
    if late:
        st.warning(
            f"{plural(late)} run for more than three times as long as usual.",
            icon=":material/hourglass_top:",
        )


def tiles(run: Row, jobs: Sequence[Row]) -> None:
    ended = [job for job in jobs if job["status"] not in LIVE]
    summary = f"{len(ended):,} of {plural(run['jobs'])} have ended"
    if ended:
        seconds = (max(job["completed_at"] for job in ended) - run["created_at"]).total_seconds()
        summary += f", {len(ended) / max(seconds, 1):.1f} per second"
    st.progress(min(len(ended) / run["jobs"], 1.0), summary)
    waits = [job["wait_seconds"] for job in jobs if job["run_seconds"] is not None]
    runs = [job["run_seconds"] for job in jobs if job["status"] == "completed"]
    with st.grid("auto", min_column_width=150, border=True):
        for status in ("completed", "failed", "cancelled"):
            st.metric(status.capitalize(), sum(job["status"] == status for job in jobs))
        st.metric("Mean wait", duration(mean(waits)), help="From due to start.")
        st.metric("Longest wait", duration(max(waits, default=None)))
        st.metric("Mean run", duration(mean(runs)), help="Of completed jobs.")


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def comparison(
    run: Row, jobs: Sequence[Row], usual: Mapping[str, float], names: Mapping[str, str]
) -> None:
    rows = []
    for model in run["models"]:
        model_jobs = [job for job in jobs if job["model_id"] == model]
        done = [job for job in model_jobs if job["status"] == "completed"]
        rows.append(
            {
                "model": names.get(model, model),
                "completed": len(done),
                "wait": mean([job["wait_seconds"] for job in done]),
                "run": mean([job["run_seconds"] for job in done]),
                "usual": usual.get(model),
                "total": mean([job["total_seconds"] for job in done]),
                "live": sum(job["status"] in LIVE for job in model_jobs),
                "failed": sum(job["status"] == "failed" for job in model_jobs),
                "cancelled": sum(job["status"] == "cancelled" for job in model_jobs),
            }
        )
    st.dataframe(
        pd.DataFrame(rows),
        key="comparison",
        alt="The models of this run compared",
        hide_index=True,
        placeholder="–",
        column_config={
            "model": st.column_config.TextColumn("Model", pinned=True, width=150),
            "completed": count_column("Done", "Completed jobs."),
            "wait": seconds_column("Wait", "Mean of completed jobs, from due to start."),
            "run": seconds_column("Run", "Mean of completed jobs."),
            "usual": seconds_column("Usually", "Median run of the last seven days."),
            "total": seconds_column("Total", "Mean of completed jobs, from due to end."),
            "live": "Live",
            "failed": "Failed",
            "cancelled": "Cancelled",
        },
    )


def cards(
    run: Row, jobs: Sequence[Row], usual: Mapping[str, float], names: Mapping[str, str]
) -> None:
    """Draw the jobs as cards, with one column for each model."""
    if len(run["models"]) == 1:
        with st.grid("auto", min_column_width=240):
            for job in jobs:
                card(job, usual.get(job["model_id"]))
        return
    with st.grid("auto", min_column_width=200):
        for model in run["models"]:
            with st.container():
                st.markdown(f"**{escaped(names.get(model, model))}**")
                for job in jobs:
                    if job["model_id"] == model:
                        card(job, usual.get(model))


def card(job: Row, usual: float | None, name: str | None = None) -> None:
    at = phase(job)
    with st.container(border=True):
        if name:
            st.text(name)
        if job["status"] == "completed":
            show_image(job, "stretch")
        elif job["status"] in LIVE:
            percent = f" {job['progress']} %" if at == "Running" else ""
            st.progress(job["progress"], with_queue_position(f"{at}{percent}", job))
        else:
            st.badge(at, color="red" if at == "Failed" else "gray")
        if job["error_message"]:
            st.text(textwrap.shorten(job["error_message"], 300, placeholder=" …"))
        seed = job["parameters"].get("seed")
        st.text(timings(job, usual) + (f", seed {seed}" if seed is not None else ""))
        with st.container(horizontal=True, vertical_alignment="center"):
            if job["status"] == "completed":
                st.download_button(
                    "Download",
                    partial(image_bytes, job),
                    file_name(job),
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"download {job['generation_id']}",
                )
            if job["status"] in LIVE and st.button("Cancel", key=f"cancel {job['job_id']}"):
                ask(job_dialogs.cancel([job["job_id"]]))
            if job["attempts"] is not None:
                st.page_link(
                    "pages/job.py",
                    label="Job",
                    icon=":material/arrow_forward:",
                    query_params={"id": str(job["job_id"])},
                )


def table(jobs: Sequence[Row]) -> None:
    rows = pd.DataFrame(jobs)
    rows["phase"] = [with_queue_position(phase(job), job) for job in jobs]
    rows["job"] = job_links(rows["job_id"])
    chosen = selectable(
        rows,
        list(rows["job_id"]),
        name="run jobs",
        alt="The jobs of this run",
        placeholder="–",
        columns={
            "place": st.column_config.NumberColumn("No."),
            "phase": st.column_config.TextColumn("Phase", width=150),
            "progress": st.column_config.ProgressColumn(
                "Progress", width=110, min_value=0, max_value=100, format="%d %%"
            ),
            "wait_seconds": seconds_column("Wait"),
            "run_seconds": seconds_column("Run"),
            "total_seconds": seconds_column("Total"),
            "model_id": "Model",
            "attempts": "Attempts",
            "error_message": "Error",
            "job": job_column(),
        },
    )
    live = {job["job_id"] for job in jobs if job["status"] in LIVE}
    picked = [job_id for job_id in chosen if job_id in live]
    if picked and st.button(f"Cancel {len(picked)} selected", key="cancel selected"):
        ask(job_dialogs.cancel(picked))


def images(jobs: Sequence[Row], usual: Mapping[str, float], names: Mapping[str, str]) -> None:
    done = [job for job in jobs if job["status"] == "completed"]
    if not done:
        return
    st.header("Images")
    pages = -(-len(done) // IMAGES_PER_PAGE)
    number = st.pagination(pages, key="images page") if pages > 1 else 1
    with st.grid("auto", min_column_width=240):
        for job in done[(number - 1) * IMAGES_PER_PAGE : number * IMAGES_PER_PAGE]:
            model = job["model_id"]
            card(job, usual.get(model), names.get(model, model))
