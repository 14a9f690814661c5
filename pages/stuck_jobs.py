"""Which jobs has nobody worked on for too long?"""

from uuid import UUID

import pandas as pd
import streamlit as st

from lib.actions import reset_stuck_jobs
from lib.dashboard import REFRESH_SECONDS, actor, pool, read, read_anew, say_when_away, time_column
from lib.formats import duration

COLUMNS = [
    "id", "job_type", "model_id", "prompt", "attempts", "max_attempts", "started_at",
    "last_sign_of_life", "silent_seconds", "worker",
]  # fmt: skip

st.title("Stuck jobs")
st.caption(
    "Running for ten minutes without a sign of life from a worker. A reset puts a job back on the"
    " queue with its attempts unchanged; a job whose worker has answered meanwhile is left alone."
)


@st.fragment(run_every=REFRESH_SECONDS)
def live() -> None:
    with say_when_away():
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
            ask(selected, len(selected))
        if st.button(f"Reset all {count:,}", type="primary"):
            ask(None, count)


def ask(job_ids: list[UUID] | None, count: int) -> None:
    # Asked from outside the live panel, whose next refresh would close its dialogs.
    st.session_state["asked"] = (job_ids, count)
    st.rerun()


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


def forget() -> None:
    del st.session_state["asked"]


@st.dialog("Reset stuck jobs", on_dismiss=forget)
def confirm(job_ids: list[UUID] | None, count: int) -> None:
    jobs = plural(count)
    st.write(
        f"Puts {jobs} back on the queue. Attempts stay as they are, and workers claim them within"
        " seconds. The audit log records it as done by:"
    )
    st.text(actor())
    with st.container(horizontal=True):
        if st.button(f"Reset {jobs}", type="primary"):
            with say_when_away():
                reset = reset_stuck_jobs(pool(), actor(), job_ids)
                st.session_state["report"] = f"{plural(len(reset))} put back on the queue."
                read_anew()
                forget()
                st.rerun()
        if st.button("Leave them"):
            forget()
            st.rerun()


def plural(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


if "report" in st.session_state:
    st.success(st.session_state.pop("report"), icon=":material/check_circle:")
if "asked" in st.session_state:
    confirm(*st.session_state["asked"])
live()
