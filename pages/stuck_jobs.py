"""Which running jobs have had no heartbeat for too long?"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NoReturn
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import duration
from lib.queue.operator_actions import reset_stuck_jobs
from lib.ui.columns import job_column, job_links, time_column
from lib.ui.confirm import ask, confirmations
from lib.ui.dashboard import read, read_once
from lib.ui.export import Row, batches, csv_export
from lib.ui.live import live
from lib.ui.parts import job_dialogs
from lib.ui.parts.job_dialogs import Matching
from lib.ui.selection import selectable

MAX_SHOWN = 500
MAX_JOBS = 100_000
"""Most jobs that one action can affect."""
LONGEST_SILENT = {"after": "-infinity", "after_id": UUID(int=0)}
COLUMNS = [
    "id", "job_type", "model_id", "prompt", "attempts", "max_attempts", "started_at",
    "last_sign_of_life", "silent_seconds", "worker",
]  # fmt: skip

st.caption(
    "Running without a heartbeat from a worker for too long. A reset puts a job back on the queue"
    " with its attempts unchanged; jobs with a heartbeat meanwhile are not affected."
)


def panel() -> None:
    chosen = filters()
    stuck = read("stuck_jobs", "stuck", **chosen, **LONGEST_SILENT, most=MAX_SHOWN)
    if not stuck:
        message = "No job is stuck." if not any(chosen.values()) else "No such job is stuck."
        st.success(message, icon=":material/check_circle:")
    else:
        table(pd.DataFrame(stuck), stuck[0]["total"], chosen)
    resets()


def filters() -> dict[str, str | None]:
    """Model and type filters, each shown only if there is a choice."""
    kinds = read("stuck_jobs", "kinds")
    models = sorted({kind["model_id"] for kind in kinds})
    types = sorted({kind["job_type"] for kind in kinds})
    with st.container(horizontal=True):
        return {
            "model_id": choice("Model", "model", models),
            "job_type": choice("Type", "type", types),
        }


def choice(label: str, key: str, options: list[str]) -> str | None:
    if len(options) < 2:
        return None
    chosen: str | None = st.selectbox(
        label,
        options,
        index=None,
        placeholder="All",
        format_func=lambda option: option or "(none)",
        key=key,
        bind="query-params",
        width=320,
    )
    return chosen


def table(stuck: pd.DataFrame, count: int, chosen: dict[str, str | None]) -> None:
    shown = stuck.assign(
        id=job_links(stuck["id"]),
        tries=[
            f"{a} of {m}" for a, m in zip(stuck["attempts"], stuck["max_attempts"], strict=True)
        ],
        silent=[duration(seconds) for seconds in stuck["silent_seconds"]],
    )
    st.header(f"{count:,} stuck" if count == len(stuck) else f"{count:,} stuck, {len(stuck)} shown")
    selected = selectable(
        shown,
        list(stuck["id"]),
        name="stuck",
        alt="Stuck jobs",
        placeholder="unknown",
        columns={
            "silent": "Silent for",
            "model_id": "Model",
            "prompt": st.column_config.TextColumn("Prompt", width="medium"),
            "tries": "Attempt",
            "started_at": time_column("Started", seconds=True),
            "worker": "Last worker",
            "id": job_column(),
        },
    )
    with st.container(horizontal=True):
        if st.button(
            f"Reset {len(selected)} selected" if selected else "Reset selected",
            key="reset selected",
            disabled=not selected,
        ):
            ask(job_dialogs.reset(selected))
        if st.button(f"Reset all {count:,}", key="reset all", type="primary"):
            confirm_reset_all(chosen, count)


def confirm_reset_all(chosen: dict[str, str | None], count: int) -> NoReturn:
    if not any(chosen.values()):
        ask(job_dialogs.reset(Matching(count, partial(reset_stuck_jobs, job_ids=None))))
    found = read_once("stuck_jobs", "stuck", **chosen, **LONGEST_SILENT, most=MAX_JOBS)
    ask(job_dialogs.reset([row["id"] for row in found]))


def resets() -> None:
    st.header("The last resets")
    rows = read("stuck_jobs", "recent_resets")
    if not rows:
        st.caption("None yet.")
        return
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "at": time_column("At", seconds=True),
            "actor": "By",
            "affected": "Jobs reset",
        },
    )


def all_stuck() -> Iterator[Sequence[Row]]:
    chosen = {"model_id": st.session_state.get("model"), "job_type": st.session_state.get("type")}
    keys = ["last_sign_of_life", "id"]
    return batches("stuck_jobs", "stuck", LONGEST_SILENT, keys, **chosen)


confirmations()
live(panel)
st.caption("All stuck jobs, of the chosen model and type:")
csv_export("stuck jobs", COLUMNS, MAX_SHOWN, all_stuck)
