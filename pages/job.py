"""What is the state of this job, and why?"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import streamlit as st

from lib.checks.attempts import Attempt, attempts_of
from lib.checks.job_state import JobState, is_stuck, job_state
from lib.formats import duration, escaped
from lib.ui.confirm import confirmations
from lib.ui.dashboard import format_time, read
from lib.ui.images import archive
from lib.ui.live import live
from lib.ui.navigation import link
from lib.ui.parts.image_comparison import show_comparison
from lib.ui.parts.input_images import input_images, source_images
from lib.ui.parts.job_buttons import job_buttons
from lib.ui.parts.job_events import show_events
from lib.ui.parts.job_images import show_images
from lib.ui.parts.job_log import show_log
from lib.ui.parts.job_request import show_request, show_text
from lib.ui.parts.job_timeline import show_attempts, show_timeline
from lib.ui.parts.run_again import run_again_dialog

QUOTED = 240
"""Longer errors are shown in full below the sentence that quotes them."""
BADGES = {
    "pending": ("gray", "schedule"),
    "processing": ("blue", "play_circle"),
    "completed": ("green", "check_circle"),
    "failed": ("red", "error"),
    "refused": ("orange", "shield"),
    "cancelled": ("gray", "block"),
}
TABS = ("Log", "Events", "Attempts", "Payload")

Job = Mapping[str, Any]
"""A row of the query `job` of queries/job.sql."""


def job_id() -> UUID | None:
    value = st.query_params.get("id", "")
    try:
        return UUID(value.strip())
    except ValueError:
        if value:
            st.error("Not a complete job id. Use Search to find a job by part of its id.")
        else:
            st.info("No job selected.")
    choose_job()
    return None


def choose_job() -> None:
    with st.form("choose a job", border=False, enter_to_submit=True):
        chosen = st.text_input("Job or generation id", max_chars=60, width=420)
        opened = st.form_submit_button("Open job")
    link("jobs", "All jobs", ":material/list:")
    if opened and chosen.strip():
        st.query_params["id"] = chosen.strip()
        st.rerun()


def panel(id: UUID) -> None:
    job = read("job", "job", id=id)
    if job is None:
        st.warning("No job or generation has this id. It may have been purged.")
        choose_job()
        return
    predictions = (
        read("job", "predictions", generation_id=job["generation_id"])
        if job["generation_id"]
        else []
    )
    attempts = attempts_of(job, read("job", "attempts", id=job["id"]), predictions)
    found = job_state(job)
    header(job, found)
    status_sentence(job, found)
    request_and_image(job, predictions)
    st.header("Timeline")
    if job["status"] == "cancelled" and not attempts:
        st.caption("Cancelled before the first attempt.")
    else:
        show_timeline(attempts)
    details(job, attempts, predictions)


def header(job: Job, found: JobState) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.code(str(job["id"]), language=None, width="content")
        status = "refused" if found.level == "refused" else job["status"]
        color, icon = BADGES[status]
        stuck = is_stuck(job)
        label = "Stuck" if stuck else {"processing": "Running"}.get(status, status)
        took = f" in {duration(job['run_seconds'])}," if took_time(job) else ""
        st.badge(
            f"{label.capitalize()}{took}{ago(job)}{attempt(job)}",
            icon=f":material/{'heart_broken' if stuck else icon}:",
            color="orange" if stuck else color,
            help=format_time(job["completed_at"], seconds=True) if job["completed_at"] else None,
        )
        st.space("stretch")
        job_buttons(job, found)


def ago(job: Job) -> str:
    seconds = job["ended_seconds"]
    if seconds is None:
        return ""
    if seconds >= 86_400:
        return f" {format_time(job['completed_at'])}".replace(":", r"\:")
    return f" {' '.join(duration(seconds).split()[:2])} ago" if seconds >= 10 else " just now"


def attempt(job: Job) -> str:
    if job["status"] == "pending" or not job["attempts"]:
        return ""
    return f", attempt {job['attempts']} of {job['max_attempts']}"


def took_time(job: Job) -> bool:
    return job["status"] == "completed" and job["run_seconds"] is not None


def status_sentence(job: Job, found: JobState) -> None:
    if found.level == "done" and took_time(job):
        # The badge says it all.
        return
    # May quote errors and names.
    text = escaped(found.sentence)
    if found.advice:
        text += f"\n\n{escaped(found.advice)}"
    match found.level:
        case "done":
            st.success(text, icon=":material/check_circle:")
        case "underway":
            st.info(text, icon=":material/play_circle:")
        case "held" if job["status"] == "cancelled":
            st.markdown(f":gray[:material/block:] {text}")
        case "held":
            st.warning(text, icon=":material/pause_circle:")
        case "refused":
            st.warning(text, icon=":material/shield:")
        case "act" if is_stuck(job):
            st.warning(text, icon=":material/heart_broken:")
        case "act":
            st.error(text, icon=":material/error:")
    if len(job["error_message"] or "") > QUOTED:
        with st.expander("Full error"):
            show_text(job["error_message"])


def request_and_image(job: Job, predictions: Sequence[Job]) -> None:
    if job["prompt"] is None and job["generation_id"] is None:
        return
    if job["status"] == "processing" and job["generation_id"] and not is_stuck(job):
        st.progress(job["progress"], f"{job['progress']}%")
    images = (
        read("job", "images", generation_id=job["generation_id"])
        if job["generation_status"] == "completed"
        else []
    )
    if not images:
        show_request(job, predictions)
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        show_outputs(job, images)
        if len(images) > 1:
            st.download_button(
                f"Download {len(images)} images",
                partial(archive, [{**job, "outputs": images}]),
                f"generation-{str(job['generation_id'])[:8]}.zip",
                "application/zip",
                icon=":material/download:",
                on_click="ignore",
            )
    with right:
        show_request(job, predictions)


def show_outputs(job: Job, images: Sequence[Job]) -> None:
    """The output images, and a comparison of the first with the first input image."""
    alt = job["prompt"] or f"Image by {job['model_id']}"
    inputs = input_images(source_images(json.loads(job["parameters"])))
    source = next((image for image in inputs if image.thumbnail), None)
    if source is None:
        show_images(images, alt)
        return
    output, comparison = st.tabs(["Output", "Comparison"], key="outputs", on_change="rerun")
    with output:
        show_images(images, alt)
    with comparison:
        if comparison.open:
            show_comparison(source, images[0], key=f"divider of {job['id']}")


def details(job: Job, attempts: Sequence[Attempt], predictions: list[Job]) -> None:
    log, events, tried, payload = st.tabs(
        TABS, key="details", bind="query-params", on_change="rerun"
    )
    with log:
        if log.open:
            show_log(job, predictions)
    with events:
        if events.open:
            actions = read("job", "operators", id=str(job["id"]))
            show_events(job, attempts, predictions, actions)
    with tried:
        if tried.open:
            show_attempts(attempts, job["error_message"])
            if job["error_details"] not in (None, "null", "{\n}"):
                st.caption("Details of the last error")
                show_text(job["error_details"], "json")
    with payload:
        if payload.open:
            show_text(job["payload"], "json")


confirmations()
if chosen := job_id():
    run_again_dialog(str(chosen))
    live(partial(panel, chosen))
