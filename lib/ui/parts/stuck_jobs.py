"""The view of stuck jobs: running jobs that have had no heartbeat for too long."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import duration, plural
from lib.ops.action_texts import BACK, reset_effect
from lib.queue.job_filters import Filters
from lib.queue.operator_actions import reset_stuck_jobs
from lib.ui.columns import job_column, job_links, model_name, time_column
from lib.ui.dashboard import read, read_once
from lib.ui.export import Row, batches
from lib.ui.parts.bulk_dialog import BulkAction, ask_bulk
from lib.ui.parts.job_actions import MAX_JOBS
from lib.ui.selection import selectable

MAX_SHOWN = 500
LONGEST_SILENT = {"after": "-infinity", "after_id": UUID(int=0)}
EXPORT_COLUMNS = [
    "id", "job_type", "model_id", "prompt", "attempts", "max_attempts", "started_at",
    "last_heartbeat_at", "silent_seconds", "worker",
]  # fmt: skip


def stuck_jobs(filters: Filters) -> None:
    """Draw the list of stuck jobs of a type and a model, their resets and the last resets."""
    chosen = _parameters(filters)
    stuck = read("jobs", "stuck", **chosen, **LONGEST_SILENT, most=MAX_SHOWN)
    if stuck:
        _table(pd.DataFrame(stuck), stuck[0]["total"], chosen)
    else:
        text = "No stuck jobs match these filters." if filters.narrowed else "No jobs are stuck."
        st.success(text, icon=":material/check_circle:")
    last = st.expander("Recent resets", on_change="rerun", key="last resets")
    if last.open:
        with last:
            _resets()


def export_stuck(filters: Filters) -> Iterator[Sequence[Row]]:
    """All stuck jobs of a type and a model, for a CSV file."""
    keys = ["last_heartbeat_at", "id"]
    return batches("jobs", "stuck", LONGEST_SILENT, keys, **_parameters(filters))


def _parameters(filters: Filters) -> dict[str, Any]:
    return {"model_id": filters.model_id, "job_type": filters.job_type}


def _table(stuck: pd.DataFrame, count: int, chosen: dict[str, Any]) -> None:
    buttons = st.container(horizontal=True, vertical_alignment="center")
    if count > len(stuck):
        st.caption(f"Showing {len(stuck):,} of {count:,}.")
    selected = selectable(
        stuck.assign(
            link=job_links(stuck["id"]),
            model=[model_name(model) for model in stuck["model_id"]],
            tries=[
                f"{a} of {m}" for a, m in zip(stuck["attempts"], stuck["max_attempts"], strict=True)
            ],
            silent=[duration(seconds) for seconds in stuck["silent_seconds"]],
        ),
        list(stuck["id"]),
        name="stuck",
        alt="Stuck jobs",
        placeholder="",
        # Not by a click on a cell: Tab, on its way to the buttons, would open one.
        columns={
            "link": job_column(),
            "silent": st.column_config.TextColumn("No heartbeat for", width=130),
            "model": st.column_config.TextColumn("Model", width=150),
            "prompt": st.column_config.TextColumn("Prompt", width=250),
            "tries": st.column_config.TextColumn("Attempt", width=80),
            "started_at": time_column("Started", seconds=True, width=130),
            "worker": st.column_config.TextColumn("Last worker", width=160),
        },
        more={"job_type": "Type", "model_id": "Model id"},
    )
    with buttons:
        label = f"Reset {len(selected)} selected" if selected else "Reset selected"
        if st.button(label, key="reset selected", disabled=not selected):
            ask_bulk(_reset(selected))
        if st.button(f"Reset all {count:,}", key="reset all", type="primary"):
            found = read_once("jobs", "stuck", **chosen, **LONGEST_SILENT, most=MAX_JOBS)
            ask_bulk(_reset([row["id"] for row in found]))
        st.caption(
            "A reset makes a job pending again with its attempts unchanged. Jobs with a new"
            " heartbeat are not affected."
        )


def _reset(ids: Sequence[UUID]) -> BulkAction:
    effect = reset_effect(len(ids))
    return BulkAction(f"Reset {plural(len(ids), 'stuck job')}", effect, ids, reset_stuck_jobs, BACK)


def _resets() -> None:
    rows = read("jobs", "recent_resets")
    if not rows:
        st.caption("None yet.")
        return
    st.dataframe(
        rows,
        hide_index=True,
        alt="Recent resets",
        column_config={
            "at": time_column("Time", seconds=True),
            "actor": "User",
            "affected": "Jobs reset",
        },
    )
