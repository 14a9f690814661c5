"""Parts of the Failures page: one failed job in detail, and the jobs being retried."""

from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import duration
from lib.ui.columns import job_column, job_links, model_name, time_column
from lib.ui.confirm import ask
from lib.ui.dashboard import read, read_once
from lib.ui.parts import job_dialogs
from lib.ui.selection import selectable

MAX_JOBS = 100_000
"""Maximum number of jobs that one action can affect."""


def attempt_labels(jobs: pd.DataFrame) -> list[str]:
    """The attempts of jobs as text, such as "2 of 3"."""
    return [f"{a} of {m}" for a, m in zip(jobs["attempts"], jobs["max_attempts"], strict=True)]


def job_details(heading: str, job_id: UUID) -> None:
    """Draw a job's error, payload and failed attempts; nothing if the job is gone."""
    job = read("failures", "job", job_id=job_id)
    if job is None:
        return
    st.header(heading)
    st.code(job["error_message"] or "(no message)", language=None, wrap_lines=True)
    attempts = pd.DataFrame(
        read("failures", "attempts", job_id=job_id),
        columns=["attempt", "at", "error", "code", "permanent", "retry_after_seconds"],
    )
    left, right = st.columns(2)
    with left:
        st.markdown("**Payload**")
        st.code(job["payload"], language="json", height=240, wrap_lines=True)
    with right:
        st.markdown("**Failed attempts**")
        if attempts.empty:
            st.caption("No attempts recorded: this job was run by a worker that is not Darkroom's.")
            return
        st.dataframe(
            attempts.assign(at=pd.to_datetime(attempts["at"], errors="coerce", utc=True)),
            hide_index=True,
            placeholder="–",
            alt="Failed attempts of the job",
            column_order=["attempt", "at", "error"],
            column_config={
                "attempt": st.column_config.TextColumn("Attempt", width=65),
                "at": time_column("Time", seconds=True, width=125),
                "error": st.column_config.TextColumn("Error", width=280),
                "code": "Error code",
                "permanent": "Permanent",
                "retry_after_seconds": st.column_config.TextColumn(
                    "Retry after (s)", help="As requested by the provider."
                ),
            },
        )


def retrying_jobs(key: str | None, most: int) -> None:
    """Draw up to `most` jobs that are retried after an error, optionally of one error group."""
    rows = read("failures", "tried_again", key=key, most=most)
    st.header("Retrying")
    if not rows:
        st.caption("No jobs are being retried after an error.")
        return
    st.caption("Pending and running jobs with an error in an earlier attempt.")
    jobs = pd.DataFrame(rows)
    total = rows[0]["total"]
    selected = selectable(
        jobs.assign(
            id=job_links(jobs["id"]),
            tries=attempt_labels(jobs),
            due=["running" if pd.isna(s) else _due_text(s) for s in jobs["due_in_seconds"]],
            model=[model_name(row["model_id"]) for row in rows],
        ),
        list(jobs["id"]),
        name="retrying",
        alt="Jobs being retried",
        placeholder="–",
        columns={
            "due": st.column_config.TextColumn("Next attempt", width=125),
            "model": st.column_config.TextColumn("Model", width=130),
            "error_message": st.column_config.TextColumn("Last error", width=320),
            "prompt": st.column_config.TextColumn("Prompt", width=200),
            "tries": st.column_config.TextColumn("Attempt", width=70),
            "id": job_column(),
        },
    )
    with st.container(horizontal=True):
        if st.button(
            f"Cancel {len(selected):,} selected" if selected else "Cancel selected",
            key="cancel selected",
            disabled=not selected,
        ):
            ask(job_dialogs.cancel(selected))
        if st.button(f"Cancel all {total:,}", key="cancel all"):
            found = read_once("failures", "tried_again", key=key, most=MAX_JOBS)
            ask(job_dialogs.cancel([row["id"] for row in found]))


def _due_text(seconds: float) -> str:
    return f"in {duration(seconds)}" if seconds > 0 else "now"
