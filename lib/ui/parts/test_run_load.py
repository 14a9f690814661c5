"""A load test, running or finished: rate, waits, models compared, jobs and images."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import duration, plural
from lib.ops.test_runs.phases import LIVE, mean, phase, queue_position
from lib.ui.columns import count_column, job_column, job_links, seconds_column
from lib.ui.confirm import ask
from lib.ui.parts import job_dialogs
from lib.ui.parts.test_run_gallery import show_cards
from lib.ui.selection import selectable

Row = Mapping[str, Any]
IMAGES_PER_PAGE = 12


def show_load_test(
    run: Row, jobs: Sequence[Row], names: Mapping[str, str], usual: Mapping[str, float]
) -> None:
    """Draw a load test from the queries `run` and `jobs` of queries/generate.sql."""
    _tiles(run, jobs)
    _comparison(run, jobs, usual, names)
    _table(jobs)
    _images(jobs)


def _tiles(run: Row, jobs: Sequence[Row]) -> None:
    ended = [job for job in jobs if job["status"] not in LIVE]
    summary = f"{len(ended):,} of {plural(run['jobs'])} ended"
    if ended:
        seconds = (max(job["completed_at"] for job in ended) - run["created_at"]).total_seconds()
        summary += f", {len(ended) / max(seconds, 1):.1f} per second"
    st.progress(min(len(ended) / run["jobs"], 1.0), summary)
    waits = [job["wait_seconds"] for job in jobs if job["run_seconds"] is not None]
    runs = [job["run_seconds"] for job in jobs if job["status"] == "completed"]
    with st.grid("auto", min_column_width=150, border=True):
        for status in ("completed", "failed", "cancelled"):
            st.metric(status.capitalize(), sum(job["status"] == status for job in jobs))
        st.metric("Mean wait", duration(mean(waits)), help="From scheduled to start.")
        st.metric("Longest wait", duration(max(waits, default=None)))
        st.metric("Mean run", duration(mean(runs)), help="Of completed jobs.")


def _comparison(
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
        alt="Comparison of the models in this run",
        hide_index=True,
        placeholder="–",
        column_config={
            "model": st.column_config.TextColumn("Model", pinned=True, width=150),
            "completed": count_column("Completed"),
            "wait": seconds_column("Wait", "Mean of completed jobs, from scheduled to start."),
            "run": seconds_column("Run", "Mean of completed jobs."),
            "usual": seconds_column("Usual run", "p50 run time, last 7 days."),
            "total": seconds_column("Total", "Mean of completed jobs, from scheduled to end."),
            "live": "Pending or running",
            "failed": "Failed",
            "cancelled": "Cancelled",
        },
    )


def _table(jobs: Sequence[Row]) -> None:
    rows = pd.DataFrame(jobs)
    rows["phase"] = [_phase(job) for job in jobs]
    rows["model"] = [job["model_id"].rpartition("/")[2] for job in jobs]
    rows["job"] = job_links(rows["job_id"])
    several = rows["model"].nunique() > 1
    chosen = selectable(
        rows,
        list(rows["job_id"]),
        name="run jobs",
        alt="Jobs in this run",
        placeholder="–",
        # As many as fit beside the form.
        columns={
            "place": st.column_config.NumberColumn("No.", width=45),
            "phase": st.column_config.TextColumn("Phase", width=125),
            "wait_seconds": seconds_column("Wait"),
            "run_seconds": seconds_column("Run"),
            **(
                {"model": st.column_config.TextColumn("Model", width=100)}
                if several
                else {"total_seconds": seconds_column("Total")}
            ),
            "error_message": st.column_config.TextColumn("Error", width=90),
            "job": job_column(width=80),
        },
    )
    live = {job["job_id"] for job in jobs if job["status"] in LIVE}
    picked = [job_id for job_id in chosen if job_id in live]
    if picked and st.button(f"Cancel {len(picked)} selected", key="cancel selected"):
        ask(job_dialogs.cancel(picked))


def _phase(job: Row) -> str:
    place = queue_position(job)
    return f"{phase(job)}, {place}" if place else phase(job)


def _images(jobs: Sequence[Row]) -> None:
    done = [job for job in jobs if job["status"] == "completed"]
    if not done:
        return
    st.header("Images")
    pages = -(-len(done) // IMAGES_PER_PAGE)
    number = st.pagination(pages, key="images page") if pages > 1 else 1
    show_cards(done[(number - 1) * IMAGES_PER_PAGE : number * IMAGES_PER_PAGE])
