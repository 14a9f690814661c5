"""The view of duplicates: jobs that repeat another one of the same generation."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pandas as pd
import streamlit as st

from lib.formats import duration, plural
from lib.queue.operator_actions import cancel_duplicates
from lib.ui.columns import job_column, job_links, model_name, short_id, time_column
from lib.ui.confirm import ask
from lib.ui.dashboard import database_errors_shown, read, read_once
from lib.ui.export import MAX_ROWS, Row
from lib.ui.parts import job_dialogs
from lib.ui.parts.job_dialogs import Matching
from lib.ui.time_range import RANGES

MAX_SHOWN = 500
KEPT = (
    "For each generation without an image, the running job is kept, or else the oldest pending one."
    " If the image already exists, all its pending jobs are cancelled; the image is kept."
)
RESULT = "repeated jobs"
EXPORT_COLUMNS = [
    "generation_id", "place", "jobs", "seconds_later", "status", "model_id", "prompt", "created_at",
    "completed_at", "id",
]  # fmt: skip


def duplicates() -> None:
    """Draw the pending jobs that are redundant, and a comparison of past jobs on request."""
    _redundant()
    st.subheader("Generations with several jobs")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        options = [name for name, length in RANGES.items() if length <= timedelta(days=7)]
        span = st.selectbox("Time range", options, width=240)
        if st.button("Compare jobs"):
            _compare(span)
    if result := st.session_state.get(RESULT):
        _repeated(*result)
    else:
        st.caption("Reads every job in this time range, so it runs only on request.")


def export_repeated() -> Iterator[Sequence[Row]]:
    """All jobs of the last comparison, for a CSV file."""
    if RESULT in st.session_state:
        span, _ = st.session_state[RESULT]
        yield _read(span, MAX_ROWS)


def _redundant() -> None:
    rows = read("jobs", "duplicates")
    if not rows:
        st.success("No duplicate pending jobs.", icon=":material/check_circle:")
        return
    total, jobs = rows[0]["total"], pd.DataFrame(rows)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(f"Cancel all {total:,}", key="cancel all", type="primary"):
            ask(job_dialogs.cancel(Matching(total, cancel_duplicates), "pending", KEPT))
        st.caption(
            "Pending jobs whose generation already has its image or another pending or running job."
            + (f" Showing {len(rows):,} of {total:,}." if total > len(rows) else "")
        )
    columns = {
        "reason": st.column_config.TextColumn("Reason", width=260),
        "model": st.column_config.TextColumn("Model", width=140),
        "prompt": st.column_config.TextColumn("Prompt", width=260),
        "created_at": time_column("Created", seconds=True, width=130),
        "kept_id": job_column("Kept job", width=120),
        "id": job_column(),
    }
    st.dataframe(
        jobs.assign(
            id=job_links(jobs["id"]),
            model=[model_name(model) for model in jobs["model_id"]],
            kept_id=[kept and job_links([kept])[0] for kept in jobs["kept_id"]],
        ),
        hide_index=True,
        placeholder="",
        alt="Duplicate pending jobs",
        column_order=list(columns),
        column_config=columns | {"generation_id": "Generation", "model_id": "Model id"},
    )


def _compare(span: str) -> None:
    with database_errors_shown(), st.spinner("Comparing"):
        st.session_state[RESULT] = (span, _read(span, MAX_SHOWN))


def _read(span: str, most: int) -> Sequence[Row]:
    rows: Sequence[Row] = read_once("jobs", "repeated", start=None, length=RANGES[span], most=most)
    return rows


def _repeated(span: str, rows: Sequence[Row]) -> None:
    if not rows:
        st.info(f"No generation had more than one job in the last {span}.")
        return
    generations, total = rows[0]["generations"], rows[0]["total"]
    st.markdown(
        f"**{plural(generations, 'generation')} with {plural(total)}** in the last {span}"
        + (f". Showing the newest {len(rows):,} jobs." if total > len(rows) else ".")
    )
    jobs = pd.DataFrame(rows)
    columns = {
        "generation": st.column_config.TextColumn("Generation", width=100),
        "later": st.column_config.TextColumn("Created", width=130),
        "status": st.column_config.TextColumn("Status", width=100),
        "model": st.column_config.TextColumn("Model", width=140),
        "prompt": st.column_config.TextColumn("Prompt", width=300),
        "created_at": time_column("Time", seconds=True, width=130),
        "id": job_column(),
    }
    st.dataframe(
        jobs.assign(
            id=job_links(jobs["id"]),
            generation=[short_id(generation) for generation in jobs["generation_id"]],
            model=[model_name(model) for model in jobs["model_id"]],
            later=[
                "first" if place == 1 else f"{duration(seconds)} later"
                for place, seconds in zip(jobs["place"], jobs["seconds_later"], strict=True)
            ],
        ),
        hide_index=True,
        placeholder="",
        alt="Jobs of generations with several jobs",
        column_order=list(columns),
        column_config=columns
        | {"completed_at": time_column("Ended", seconds=True), "generation_id": "Generation id"},
    )
