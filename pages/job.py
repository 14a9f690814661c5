"""What is the state of this job, and why?"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.checks.job_state import job_state
from lib.formats import duration, escaped
from lib.ui.columns import time_column
from lib.ui.confirm import ask, confirmations
from lib.ui.dashboard import read
from lib.ui.images import show_image
from lib.ui.live import live
from lib.ui.parts import job_dialogs

BOX_THRESHOLD = 1_500
"""Texts longer than this, in characters, are shown in a scrolling box."""
ACTIONS = {
    "cancel_jobs": "Cancelled by an operator",
    "retry_jobs": "Put back on the queue by an operator",
    "reset_stuck_jobs": "Reset by an operator",
}


def job_id() -> UUID | None:
    value = st.text_input(
        "Job or generation id", key="id", bind="query-params", max_chars=60, width=420
    )
    if not value:
        st.info("Give the id of a job or of a generation, or open a job from the list.")
    else:
        try:
            return UUID(value.strip())
        except ValueError:
            st.error("That is no whole id. The list finds jobs by the first digits of theirs.")
    st.page_link("pages/jobs.py", label="To the list of all jobs", icon=":material/list:")
    return None


def panel(id: UUID) -> None:
    job = read("job", "job", id=id)
    if job is None:
        st.warning(
            "No job and no generation has this id. Jobs that ended long ago may have been purged."
        )
        st.page_link("pages/jobs.py", label="To the list of all jobs", icon=":material/list:")
        return
    show_state(job)
    buttons(job)
    tiles(job)
    timeline(job)
    generation(job)
    details(job)


def show_state(job: Mapping[str, Any]) -> None:
    found = job_state(job)
    # May quote errors and names.
    sentence = escaped(found.sentence)
    match found.level:
        case "done":
            st.success(sentence, icon=":material/check_circle:")
        case "underway":
            st.info(sentence, icon=":material/play_circle:")
        case "held":
            st.warning(sentence, icon=":material/pause_circle:")
        case "act":
            st.error(sentence, icon=":material/error:")


def buttons(job: Mapping[str, Any]) -> None:
    stuck = job["status"] == "processing" and job["silent_seconds"] > job["stuck_after_seconds"]
    with st.container(horizontal=True, vertical_alignment="center"):
        if stuck and st.button("Reset", type="primary"):
            ask(job_dialogs.reset([job["id"]]))
        if job["status"] in ("failed", "cancelled") and st.button("Retry", type="primary"):
            ask(job_dialogs.retry([job["id"]]))
        if job["status"] in ("pending", "processing") and st.button("Cancel"):
            ask(job_dialogs.cancel([job["id"]]))
        if user := job["created_by"] or job["user_id"]:
            st.page_link(
                "pages/users.py",
                label="Its user",
                icon=":material/person:",
                query_params={"user": str(user)},
            )
        st.page_link("pages/jobs.py", label="All jobs", icon=":material/list:")


def tiles(job: Mapping[str, Any]) -> None:
    st.text(", ".join(filter(None, [job["status"], job["job_type"], job["model_id"]])))
    with st.container(horizontal=True):
        tile("Attempts", f"{job['attempts']} of {job['max_attempts']}")
        tile("Waited", duration(job["wait_seconds"]), "From due to the start of its last attempt.")
        tile("Ran for", duration(job["run_seconds"]), "In its last attempt.")
        tile("Priority", str(job["priority"]), "Higher is claimed first.")


def tile(label: str, value: str, help: str | None = None) -> None:
    st.metric(label, value, help=help, border=True, width="content")


def timeline(job: Mapping[str, Any]) -> None:
    st.header("What happened to it?")
    events = [(job["created_at"], "Created", "")]
    for tried in read("job", "attempts", id=job["id"]):
        code = f"{tried['code']}: " if tried["code"] else ""
        events.append(
            (
                parse_time(tried["at"]),
                f"Attempt {tried['attempt'] or '?'} ended",
                f"{code}{tried['error'] or ''}",
            )
        )
    for prediction in predictions(job):
        events.extend(prediction_events(prediction))
    for act in read("job", "operators", id=str(job["id"]), created_at=job["created_at"]):
        events.append((act["at"], ACTIONS.get(act["action"], act["action"]), act["actor"]))
    if job["started_at"]:
        events.append(
            (job["started_at"], f"Attempt {job['attempts']} started", job["worker"] or "")
        )
    if job["heartbeat_at"]:
        events.append((job["heartbeat_at"], "Last heartbeat", job["worker"] or ""))
    if job["completed_at"]:
        error = job["error_message"] if job["status"] != "completed" else ""
        events.append((job["completed_at"], job["status"].capitalize(), error or ""))
    elif job["status"] == "pending":
        events.append((job["scheduled_at"], "Due", ""))
    table = pd.DataFrame(events, columns=["at", "event", "detail"])
    table["at"] = pd.to_datetime(table["at"], utc=True)
    table = table.sort_values("at", kind="stable", na_position="last")
    steps = table["at"].diff().dt.total_seconds()
    table["after"] = [None if pd.isna(step) else duration(step) for step in steps]
    st.dataframe(
        table,
        key="timeline",
        alt="What happened to the job, in order",
        hide_index=True,
        placeholder="",
        column_order=["at", "after", "event", "detail"],
        column_config={
            "at": time_column("At", seconds=True, year=True),
            "after": st.column_config.TextColumn("After", help="Since the line above."),
            "event": "What",
            "detail": st.column_config.TextColumn("Detail", width="large"),
        },
    )


def predictions(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    generation_id = job["generation_id"]
    return read("job", "predictions", generation_id=generation_id) if generation_id else []


def prediction_events(prediction: Mapping[str, Any]) -> list[tuple[datetime, str, str]]:
    attempt = f"attempt {prediction['attempt']}" if prediction["attempt"] else ""
    events = [(prediction["created_at"], "Prediction requested", attempt)]
    if prediction["started_at"]:
        events.append((prediction["started_at"], "Prediction created", prediction["provider_id"]))
    if prediction["status"] == "unknown":
        detail = "It could not be found out whether it was started, so another was requested."
        events.append((prediction["ended_at"], "Prediction unknown", detail))
    elif prediction["ended_at"]:
        ran = prediction["predict_seconds"]
        detail = ", ".join(filter(None, [ran and f"ran for {duration(ran)}", prediction["error"]]))
        events.append((prediction["ended_at"], f"Prediction {prediction['status']}", detail))
    return events


def parse_time(value: str | None) -> datetime | None:
    """Parse a time from the error details, which may hold anything; None if invalid."""
    at = pd.to_datetime(value, errors="coerce", utc=True)
    return None if pd.isna(at) else at.to_pydatetime()


def generation(job: Mapping[str, Any]) -> None:
    st.header("What was asked for, and what came of it?")
    if job["generation_id"] is None:
        st.caption("This job has no generation (yet): its payload, below, says what it is about.")
        return
    with st.container(horizontal=True):
        has_image = job["storage_path"] or job["image_url"]
        if job["generation_status"] == "completed" and has_image:
            show_image(job, 320)
        with st.container(width=480):
            st.text(job["prompt"])
            if job["generation_status"] in ("queued", "processing"):
                st.progress(job["progress"], f"{job['generation_status']}, {job['progress']} %")
            else:
                st.text(f"Generation {job['generation_status']}")
            if job["source"] == "sample" and not has_image:
                st.caption("Sample history has no images.")
            facts = {"Generation": job["generation_id"], "Prediction": job["prediction_id"]}
            for name, value in facts.items():
                if value:
                    st.caption(name)
                    st.code(str(value), language=None)


def details(job: Mapping[str, Any]) -> None:
    if log := next((p["log"] for p in reversed(predictions(job)) if p["log"]), None):
        st.header("Provider's log")
        show_text(log)
    st.header("Payload")
    show_text(job["payload"], "json")
    if job["error_message"]:
        st.header("Error")
        show_text(job["error_message"])
    if job["error_details"] not in (None, "null", "{\n}"):
        st.header("Details of the last error")
        show_text(job["error_details"], "json")


def show_text(text: str, language: str | None = None) -> None:
    height = 400 if len(text) > BOX_THRESHOLD else "content"
    st.code(text, language=language, wrap_lines=True, height=height)


confirmations()
if chosen := job_id():
    live(partial(panel, chosen))
