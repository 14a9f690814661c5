"""List of test runs, to open or delete."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import plural
from lib.ops.test_runs.runs import delete_run
from lib.ui.columns import count_column, seconds_column, time_column
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, pool, read, read_once
from lib.ui.export import csv_export
from lib.ui.images import storage, thumbnail_sources
from lib.ui.selection import selectable

RUNS_PER_PAGE = 20
COLUMNS = [
    "id", "created_at", "actor", "prompt", "models", "jobs", "started", "live", "completed",
    "failed", "cancelled", "wait_mean", "run_mean", "load_test",
]  # fmt: skip
IMAGES, LOAD_TEST, EARLIER_RUNS = "Images", "Load test", "Earlier runs"
"""The page's tabs, also in its address: /generate?show=Load+test."""


def show_history() -> None:
    """Draw the runs, newest first, with actions on the selected ones."""
    count = read("generate", "run_count")
    if not count:
        st.info("No runs yet. Start one on the Images tab.", icon=":material/image:")
        return
    pages = -(-count // RUNS_PER_PAGE)
    number = st.pagination(pages, key="runs page") if pages > 1 else 1
    found = read("generate", "history", most=RUNS_PER_PAGE, skip=(number - 1) * RUNS_PER_PAGE)
    runs = pd.DataFrame(found, columns=COLUMNS)
    runs["image"] = thumbnail_sources(found)
    runs["short_models"] = [[model.rpartition("/")[2] for model in run["models"]] for run in found]
    chosen = selectable(
        runs,
        list(runs["id"]),
        name="runs",
        alt="Test runs, newest first",
        placeholder="–",
        row_height=56,
        columns={
            "image": st.column_config.ImageColumn("Image", width=60),
            "prompt": st.column_config.TextColumn("Prompt", width=220),
            "short_models": st.column_config.ListColumn("Models", width=170),
            "jobs": count_column("Jobs", width=55),
            "completed": count_column("Completed", width=90),
            "failed": count_column("Failed", width=65),
            "wait_mean": seconds_column("Mean wait"),
            "run_mean": seconds_column("Mean run"),
            "created_at": time_column("Started"),
        },
    )
    picked = runs[runs["id"].isin(chosen)]
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(chosen) == 1 and st.button("Open run", icon=":material/open_in_full:"):
            st.query_params["run"] = str(chosen[0])
            # The page selects the tab, before it draws the tabs.
            st.session_state["show next"] = LOAD_TEST if picked["load_test"].iloc[0] else IMAGES
            st.rerun()
        if chosen:
            words = plural(len(chosen), "run")
            if st.button(f"Delete {words}", key="delete runs", icon=":material/delete:"):
                ask(delete_action(chosen, int(picked["started"].sum()), int(picked["live"].sum())))
        else:
            st.caption("Select a run to open it, or several to delete them.")


def export() -> None:
    """Draw the CSV export of all runs."""
    if count := read("generate", "run_count"):
        csv_export("test runs", COLUMNS, count, _pages)


def delete_action(run_ids: Sequence[UUID], jobs: int, live: int) -> Action:
    """Delete test runs with their jobs, generations and images."""

    def run() -> str:
        removed = sum(delete_run(pool(), actor(), run_id, storage()) for run_id in run_ids)
        if st.query_params.get("run", "") in map(str, run_ids):
            del st.query_params["run"]
        return f"{plural(len(run_ids), 'test run')} with {plural(removed)} deleted."

    first = (
        f"Cancels {plural(live, 'pending or running job')}; the provider may still finish and"
        " charge for running ones. "
        if live
        else ""
    )
    return Action(
        f"Delete {plural(len(run_ids), 'run')}",
        f"{first}Permanently deletes {plural(len(run_ids), 'test run')} with {plural(jobs)}"
        " and their images. Users' jobs are not affected.",
        f"Delete {plural(len(run_ids), 'run')}",
        run,
        decline="Keep run" if len(run_ids) == 1 else "Keep runs",
    )


def _pages() -> Iterator[Sequence[Mapping[str, Any]]]:
    skip = 0
    while rows := read_once("generate", "history", most=200, skip=skip):
        yield rows
        skip += len(rows)
