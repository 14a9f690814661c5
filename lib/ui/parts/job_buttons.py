"""The actions on one job, on its page."""

from typing import Literal

import streamlit as st

from lib.checks.job_state import Job, JobState, is_stuck
from lib.ui.confirm import ask
from lib.ui.navigation import link
from lib.ui.parts import job_dialogs
from lib.ui.parts.run_again import open_dialog

RAISE_BY = 10


def job_buttons(job: Job, found: JobState) -> None:
    """The likeliest action first, the unlikely ones in the menu."""
    ended = job["status"] not in ("pending", "processing")
    repeatable = ended and job["prompt"] is not None and job["model_id"] is not None
    if is_stuck(job) and st.button("Reset job", type="primary"):
        ask(job_dialogs.reset([job["id"]]))
    if job["status"] == "pending" and st.button("Raise priority"):
        ask(job_dialogs.raise_priority(job["id"], job["priority"], job["priority"] + RAISE_BY))
    if not ended and st.button("Cancel job"):
        ask(job_dialogs.cancel([job["id"]]))
    retry_first = job["status"] in ("failed", "cancelled") and not found.change_first
    # Who cancelled it did so on purpose.
    first: Literal["primary", "secondary"] = "primary" if job["status"] == "failed" else "secondary"
    if retry_first and st.button("Retry job", type=first):
        ask(job_dialogs.retry([job["id"]]))
    again = "Run again with changes…" if found.change_first else "Run again…"
    if repeatable and st.button(
        again, key="again", type="primary" if found.change_first else "secondary"
    ):
        open_dialog(job, again)
    retry_second = found.change_first and found.retry_helps
    if retry_second and st.button("Retry job", key="retry second"):
        ask(job_dialogs.retry([job["id"]]))
    with st.popover("⋯", help="More", key="more"):
        if not found.retry_helps and st.button("Retry job", key="retry last"):
            ask(job_dialogs.retry([job["id"]], "It is likely to fail again."))
        if user := job["user_id"]:
            link("users", "User", ":material/person:", user=str(user))
            link("jobs", "This user's jobs", ":material/list:", created_by=str(user))
        if model := job["model_id"]:
            link("jobs", "Jobs for this model", ":material/list:", model=model)
        link("audit", "Audit log", ":material/history:")
