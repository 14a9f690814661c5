"""Which jobs has nobody worked on for too long?"""

from uuid import UUID

import pandas as pd
import streamlit as st

from lib.actions import reset_stuck_jobs
from lib.confirm import Action, ask, confirmations, plural
from lib.dashboard import actor, pool, read, time_column
from lib.formats import duration
from lib.live import live

COLUMNS = [
    "id", "job_type", "model_id", "prompt", "attempts", "max_attempts", "started_at",
    "last_sign_of_life", "silent_seconds", "worker",
]  # fmt: skip

st.title("Stuck jobs")
st.caption(
    "Running for ten minutes without a sign of life from a worker. A reset puts a job back on the"
    " queue with its attempts unchanged; a job whose worker has answered meanwhile is left alone."
)


def panel() -> None:
    count = read("stuck_jobs", "count")
    stuck = pd.DataFrame(read("stuck_jobs", "stuck"), columns=COLUMNS)
    if stuck.empty:
        st.success("No job is stuck.", icon=":material/check_circle:")
    else:
        table(stuck, count)
    resets()


def table(stuck: pd.DataFrame, count: int) -> None:
    shown = stuck.assign(
        id=stuck["id"].astype(str),
        tries=[
            f"{a} of {m}" for a, m in zip(stuck["attempts"], stuck["max_attempts"], strict=True)
        ],
        silent=[duration(seconds) for seconds in stuck["silent_seconds"]],
    )
    st.subheader(f"{count:,} stuck" if count == len(stuck) else f"{count:,} stuck, 500 shown")
    picked = st.dataframe(
        shown,
        # A table of other jobs is another table: its old selection must not carry over.
        key=f"stuck {hash(tuple(stuck['id']))}",
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        placeholder="unknown",
        column_order=["silent", "model_id", "prompt", "tries", "started_at", "worker", "id"],
        column_config={
            "id": "Job",
            "model_id": "Model",
            "prompt": st.column_config.TextColumn("Prompt", width="medium"),
            "tries": st.column_config.TextColumn("Attempt"),
            "silent": "Silent for",
            "started_at": time_column("D MMM HH:mm:ss", "Started"),
            "worker": "Last worker",
        },
    )
    selected = [stuck["id"].iloc[row] for row in picked.selection.rows]
    with st.container(horizontal=True):
        if st.button(
            f"Reset {len(selected)} selected" if selected else "Reset selected",
            disabled=not selected,
        ):
            ask_reset(selected, len(selected))
        if st.button(f"Reset all {count:,}", type="primary"):
            ask_reset(None, count)


def ask_reset(job_ids: list[UUID] | None, count: int) -> None:
    def reset() -> str:
        return f"{plural(len(reset_stuck_jobs(pool(), actor(), job_ids)))} put back on the queue."

    ask(
        Action(
            title="Reset stuck jobs",
            effect=f"Puts {plural(count)} back on the queue. Attempts stay as they are, and workers"
            " claim them within seconds.",
            button=f"Reset {plural(count)}",
            run=reset,
        )
    )


def resets() -> None:
    st.subheader("The last resets")
    rows = read("stuck_jobs", "recent_resets")
    if not rows:
        st.caption("None yet.")
        return
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "at": time_column("D MMM HH:mm:ss", "At"),
            "actor": "By",
            "affected": "Jobs reset",
        },
    )


confirmations()
live(panel)
