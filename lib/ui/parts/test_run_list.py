"""List of test runs, to open or delete."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import plural
from lib.ops.action_texts import cancel_effect
from lib.ops.test_runs.runs import delete_run
from lib.ui.columns import count_column, seconds_column, time_column
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, pool, read, read_once
from lib.ui.export import csv_export
from lib.ui.images import storage
from lib.ui.selection import selectable

RUNS_PER_PAGE = 20
COLUMNS = [
    "id", "created_at", "actor", "prompt", "models", "jobs", "started", "live", "completed",
    "failed", "cancelled", "wait_mean", "run_mean",
]  # fmt: skip


def show_history() -> None:
    """Draw the runs, newest first, with actions on the selected ones."""
    count = read("generate", "run_count")
    st.header("Test runs")
    if not count:
        st.info("No test run yet. Write a prompt above and press Generate.")
        return
    pages = -(-count // RUNS_PER_PAGE)
    number = st.pagination(pages, key="runs page") if pages > 1 else 1
    runs = pd.DataFrame(
        read("generate", "history", most=RUNS_PER_PAGE, skip=(number - 1) * RUNS_PER_PAGE),
        columns=COLUMNS,
    )
    chosen = selectable(
        runs,
        list(runs["id"]),
        name="runs",
        alt="Test runs, newest first",
        placeholder="–",
        columns={
            "created_at": time_column("Submitted", seconds=True),
            "prompt": st.column_config.TextColumn("Prompt", width="large"),
            "models": st.column_config.ListColumn("Models", width="medium"),
            "jobs": count_column("Jobs"),
            "live": count_column("Live"),
            "completed": count_column("Completed"),
            "failed": count_column("Failed"),
            "cancelled": count_column("Cancelled"),
            "wait_mean": seconds_column("Mean wait"),
            "run_mean": seconds_column("Mean run"),
            "actor": "By",
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(chosen) == 1 and st.button("Open this run", icon=":material/open_in_full:"):
            st.query_params["run"] = str(chosen[0])
            st.rerun()
        if chosen:
            picked = runs[runs["id"].isin(chosen)]
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
        f"{cancel_effect(live)} The provider may still finish and charge for running ones. "
        if live
        else ""
    )
    return Action(
        "Delete test runs",
        f"{first}Deletes {plural(len(run_ids), 'test run')} with {plural(jobs)}, their generations"
        " and their images, for good. Users' generations are left alone.",
        f"Delete {plural(len(run_ids), 'run')}",
        run,
        decline="Keep",
    )


def _pages() -> Iterator[Sequence[Mapping[str, Any]]]:
    skip = 0
    while rows := read_once("generate", "history", most=200, skip=skip):
        yield rows
        skip += len(rows)
