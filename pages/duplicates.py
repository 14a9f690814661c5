"""Which generations have more than one job, and which of the jobs are redundant?"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import duration, plural
from lib.queue.operator_actions import cancel_duplicates
from lib.ui.columns import job_column, job_links, time_column
from lib.ui.confirm import ask, confirmations
from lib.ui.dashboard import REFRESH_SECONDS, database_errors_shown, read, read_once
from lib.ui.export import MAX_ROWS, csv_export
from lib.ui.live import live
from lib.ui.parts import job_dialogs
from lib.ui.parts.job_dialogs import Matching
from lib.ui.time_range import TimeRange, time_range

MAX_RANGE = timedelta(days=7)
MAX_SHOWN = 500
KEPT = "Each generation keeps its running or else its oldest job, and its image."
COLUMNS = [
    "generation_id", "place", "jobs", "seconds_later", "status", "model_id", "prompt", "created_at",
    "completed_at", "id",
]  # fmt: skip

st.caption(
    "Several jobs for one generation. The queue refuses a second one while the first waits or runs;"
    " what can still happen is a job that is enqueued or retried after another one has ended."
)
confirmations()


def panel() -> None:
    rows = read("duplicates", "live")
    st.header("Which waiting jobs does nobody need?")
    if not rows:
        st.success("None: no waiting job repeats another.", icon=":material/check_circle:")
        return
    total = rows[0]["total"]
    jobs = pd.DataFrame(rows)
    if total > len(rows):
        st.caption(f"{len(rows):,} of {total:,} are shown.")
    columns = {
        "reason": st.column_config.TextColumn("Why", width=260),
        "model_id": "Model",
        "prompt": st.column_config.TextColumn("Prompt", width="medium"),
        "created_at": time_column("Created", seconds=True),
        "generation_id": "Generation",
        "kept_id": job_column("Job that is kept"),
        "id": job_column(),
    }
    st.dataframe(
        jobs.assign(
            id=job_links(jobs["id"]),
            kept_id=[kept and job_links([kept])[0] for kept in jobs["kept_id"]],
        ),
        hide_index=True,
        placeholder="–",
        alt="Waiting jobs that nobody needs",
        column_order=list(columns),
        column_config=columns,
    )
    if st.button(f"Cancel all {total:,}", key="cancel all", type="primary"):
        ask(job_dialogs.cancel(Matching(total, cancel_duplicates), "pending", KEPT))


def show_repeated(span: TimeRange) -> None:
    rows = read("duplicates", "repeated", **span.parameters, most=MAX_SHOWN)
    if not rows:
        st.info(f"No generation had a second job in {span.description}.")
        return
    generations, total = rows[0]["generations"], rows[0]["total"]
    st.markdown(
        f"**{plural(generations, 'generation')} with {plural(total)}** in {span.description}, so"
        f" {plural(total - generations, 'repetition')}."
    )
    table(rows)
    if total > len(rows):
        st.caption(f"The newest {len(rows):,} jobs are shown.")
        csv_export(
            "duplicates",
            COLUMNS,
            total,
            lambda: [read_once("duplicates", "repeated", **span.parameters, most=MAX_ROWS)],
        )


def table(rows: Sequence[dict[str, Any]]) -> None:
    jobs = pd.DataFrame(rows)
    created_later = [
        "the oldest" if place == 1 else f"{duration(seconds)} later"
        for place, seconds in zip(jobs["place"], jobs["seconds_later"], strict=True)
    ]
    columns = {
        "generation_id": "Generation",
        "later": "Created",
        "status": "Status",
        "model_id": "Model",
        "prompt": st.column_config.TextColumn("Prompt", width="medium"),
        "created_at": time_column("At", seconds=True),
        "completed_at": time_column("Ended", seconds=True),
        "id": job_column(),
    }
    st.dataframe(
        jobs.assign(id=job_links(jobs["id"]), later=created_later),
        hide_index=True,
        placeholder="–",
        alt="Jobs of generations that have several",
        column_order=list(columns),
        column_config=columns,
    )


# Looks up every pending job, so it refreshes less often than other pages.
reachable = live(panel, seconds=5 * REFRESH_SECONDS)
st.header("Which generations have had more than one job?")
span = time_range(("10 min", "1 h", "6 h", "24 h", "7 d"), default="10 min")
if span.length > MAX_RANGE:
    st.warning("At most seven days are compared: the last ones before the end.")
    end = (span.start or datetime.now(UTC)) + span.length
    span = TimeRange(MAX_RANGE, end - MAX_RANGE)
st.caption(
    "Jobs that ended in this time and live ones are compared, when this page is opened or a time is"
    " chosen. A repetition of a job that ended before is not seen: choose a longer time."
)
# Outside the live panel: it reads every job that ended in the range.
if reachable:
    with database_errors_shown(), st.spinner("Comparing the jobs of this time"):
        show_repeated(span)
