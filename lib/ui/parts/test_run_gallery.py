"""Images of a test run while they are made and afterwards, grouped by model."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from lib.database.sample_history import IMAGES
from lib.formats import duration, escaped, plural
from lib.ops.test_runs.phases import LIVE, mean, phase, queue_position
from lib.queue.operator_actions import cancel_jobs
from lib.roles import AccessDenied
from lib.ui.confirm import report
from lib.ui.dashboard import actor, clear_cached_answers, pool
from lib.ui.images import file_name, image_file, thumbnail_sources

Row = Mapping[str, Any]

SAMPLES = (
    ("balloons-day", "Hot-air balloons over a valley, travel poster, bright sunlight"),
    ("island-dusk", "A small island with palm trees, flat vector poster, at sunset"),
    ("observatory-night", "An observatory on a mountain, screen print, starry night"),
)
"""Image in lib/database/sample_images, and its prompt."""
ACROSS, CARD_WIDTH = 4, 130
"""Cards side by side beside the form, and the narrowest in pixels: two fit on a phone."""
SAMPLE_WIDTH = 150


def show_gallery(jobs: Sequence[Row], names: Mapping[str, str], usual: Mapping[str, float]) -> None:
    """Draw the jobs as cards, those of each model beside those of the others."""
    urls = _image_urls(jobs)
    models = list(dict.fromkeys(job["model_id"] for job in jobs))
    # A job with several images needs the room of two.
    wide = 2 if any(len(job["outputs"]) > 1 for job in jobs) else 1
    if len(models) == 1:
        _cards(jobs, urls, columns=max(2, min(len(jobs), ACROSS)) // wide)
        return
    across = ACROSS // wide // len(models)
    with st.grid(len(models), min_column_width=max(across, 1) * CARD_WIDTH):
        for model in models:
            with st.container():
                st.markdown(f"**{escaped(names.get(model, model))}**")
                own = [job for job in jobs if job["model_id"] == model]
                st.caption(_model_times(own, usual.get(model)))
                _cards(own, urls, columns=max(1, min(len(own), across)))


def show_cards(jobs: Sequence[Row]) -> None:
    """Draw jobs as cards in their order."""
    _cards(jobs, _image_urls(jobs), columns=ACROSS)


def show_samples() -> None:
    """Draw example images, each with a button that fills the form with its prompt."""
    st.header("Examples")
    with st.grid("auto", min_column_width=SAMPLE_WIDTH):
        for name, prompt in SAMPLES:
            with st.container(border=True, height="stretch"):
                st.image(IMAGES / f"sample-{name}.webp", width="stretch", alt=prompt)
                st.caption(prompt)
                st.button("Use prompt", key=f"use {name}", on_click=_use_prompt, args=(prompt,))


def _use_prompt(prompt: str) -> None:
    st.session_state["run prompt"] = prompt


def _image_urls(jobs: Sequence[Row]) -> dict[Any, list[str | None]]:
    """The thumbnails of each job's images, by its generation."""
    images = {job["generation_id"]: job["outputs"] or [job] for job in jobs}
    sources = iter(thumbnail_sources([image for rows in images.values() for image in rows]))
    return {id: list(islice(sources, len(rows))) for id, rows in images.items()}


def _model_times(jobs: Sequence[Row], usual: float | None) -> str:
    ran = mean([job["run_seconds"] for job in jobs if job["status"] == "completed"])
    parts = [f"Mean run {duration(ran)}"] if ran is not None else []
    if usual is not None:
        parts.append(f"usually {duration(usual)}")
    return ", ".join(parts).capitalize() or "No runs yet"


def _cards(jobs: Sequence[Row], urls: Mapping[Any, Sequence[str | None]], *, columns: int) -> None:
    with st.grid(columns, min_column_width=CARD_WIDTH):
        for job in jobs:
            with st.container(gap="small"):
                _card(job, urls[job["generation_id"]])


def _card(job: Row, urls: Sequence[str | None]) -> None:
    # Of a purged job there is no page.
    page = {"id": str(job["job_id"])} if job["attempts"] is not None else None
    if job["status"] in LIVE:
        st.progress(job["progress"], _live_phase(job))
        if st.button("Cancel job", key=f"cancel {job['job_id']}", icon=":material/close:"):
            _cancel(job)
        return
    if job["status"] != "completed":
        st.badge(phase(job), color="red" if job["status"] == "failed" else "gray")
        if job["error_message"]:
            st.text(textwrap.shorten(job["error_message"], 160, placeholder=" …"))
    elif shown := [url for url in urls if url]:
        link = f"/job?{urlencode(page)}" if page else None
        alt = job["prompt"] or f"Image by {job['model_id']}"
        with st.grid(min(len(shown), 2), min_column_width=CARD_WIDTH // 2):
            for number, url in enumerate(shown, 1):
                place = f"Image {number} of {len(shown)}: " if len(shown) > 1 else ""
                st.image(url, width="stretch", link=link, alt=f"{place}{alt}")
    else:
        st.text("Image unavailable: storage is not responding.")
    st.caption(_times(job))
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        if page:
            st.page_link(
                "pages/job.py", label="Open", icon=":material/open_in_full:", query_params=page
            )
        if job["status"] == "completed":
            st.download_button(
                ":material/download:",
                partial(image_file, job),
                file_name(job),
                help="Download",
                type="tertiary",
                on_click="ignore",
                key=f"download {job['generation_id']}",
            )


def _live_phase(job: Row) -> str:
    """Phase of a live job and for how long, such as "Running 62%, 4.1 s"."""
    at = phase(job)
    if job["status"] == "processing":
        percent = f" {job['progress']}%" if at == "Running" else ""
        return f"{at}{percent}, {duration(job['run_seconds'])}"
    return f"{at}, {queue_position(job)}"


def _times(job: Row) -> str:
    """How long an ended job ran, its seed, and how many images it has."""
    ran = job["run_seconds"]
    parts = [f"Ran {duration(ran)}" if ran is not None else "Not started"]
    if (seed := job["seed"] or job["parameters"].get("seed")) is not None:
        parts.append(f"seed {seed}")
    if (images := len(job["outputs"])) > 1:
        parts.append(plural(images, "image"))
    return ", ".join(parts)


def _cancel(job: Row) -> None:
    try:
        cancelled = cancel_jobs(pool(), actor(), [job["job_id"]])
        report("1 job cancelled." if cancelled else "The job has already ended.")
    except AccessDenied as refusal:
        report(str(refusal))
    clear_cached_answers()
    st.rerun()
