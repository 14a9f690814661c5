"""Which jobs fail, why, and what can be done about it?"""

import re
from collections.abc import Sequence
from typing import Any, NoReturn
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.checks.error_guide import Guide, guide
from lib.formats import duration, plural, share
from lib.ui.columns import count_column, job_column, job_links, time_column
from lib.ui.confirm import ask, confirmations
from lib.ui.dashboard import REFRESH_SECONDS, read, read_once
from lib.ui.export import NEWEST, batches, csv_export
from lib.ui.live import live
from lib.ui.parts import job_dialogs
from lib.ui.selection import selectable
from lib.ui.time_range import time_range

MAX_SHOWN = 200
MAX_JOBS = 100_000
"""Most jobs that one action can affect."""
COLUMNS = [
    "completed_at", "model_id", "error_message", "error_code", "prompt", "attempts", "max_attempts",
    "created_by", "job_type", "created_at", "id",
]  # fmt: skip

st.caption(
    "Jobs that failed for good: with an error that no further attempt can mend, or at their last"
    " attempt. Errors that differ only in model, address, id or number are one kind. A time that"
    " ends now begins with a full hour."
)
confirmations()
span = time_range(("1 h", "6 h", "24 h", "7 d", "30 d"))


def panel() -> None:
    kinds = read("failures", "groups", **span.parameters)
    show_summary(kinds)
    by_key = {kind["key"]: kind for kind in kinds}
    if retried := st.session_state.pop("retry kind", None):
        confirm_retry_all(retried, by_key.get(retried))
    key = kinds_table(kinds) if kinds else selected_key()
    kind = by_key.get(key or "")
    if kind:
        explain(kind)
    elif key:
        st.info(f"No failed job of {span.description} has the selected kind of error.")
        if st.button("Show all kinds"):
            del st.query_params["kind"]
            st.rerun()
    failed_jobs(key, kind)
    retrying_jobs(key)


def selected_key() -> str | None:
    """The kind of error selected in the URL."""
    key = st.query_params.get("kind", "")
    return key if re.fullmatch("[0-9a-f]{12}", key) else None


def show_summary(kinds: Sequence[dict[str, Any]]) -> None:
    if not kinds:
        st.success(f"No job failed in {span.description}.", icon=":material/check_circle:")
        return
    first = kinds[0]
    st.markdown(
        f"**{plural(first['total'])} failed in {span.description}**, of"
        f" {plural(first['kinds'], 'kind')} of errors."
        f" The most frequent ({share(first['jobs'], first['total'])}): {guide_for(first).title}."
    )


def guide_for(kind: dict[str, Any]) -> Guide:
    return guide(kind["error_code"], kind["error_group"])


def kinds_table(kinds: Sequence[dict[str, Any]]) -> str | None:
    """Draw the kinds of errors; returns the key of the selected one."""
    st.header("Which errors, how often, and whom do they hit?")
    table = pd.DataFrame(kinds)
    table["retry"] = "Retry"
    table["about"] = [guide_for(kind).title for kind in kinds]
    table["models"] = [", ".join(model or "(none)" for model in kind["models"]) for kind in kinds]
    table["error_group"] = table["error_group"].replace("", "(no message)")
    keys, key = list(table["key"]), selected_key()
    chosen = selectable(
        table,
        keys,
        name="kinds",
        multiple=False,
        selected=[key],
        alt="Kinds of errors",
        columns={
            "jobs": count_column("Jobs", pinned=True),
            "retry": st.column_config.ButtonColumn("", key="retry row", on_click=remember_retry),
            "trend": st.column_config.BarChartColumn(
                "Trend",
                y_min=0,
                help=f"Failed jobs {trend_step()}; the last bar is still growing.",
            ),
            "about": st.column_config.TextColumn("What it means", width=230),
            "error_group": st.column_config.TextColumn("Error", width=280),
            "last_at": time_column("Last"),
            "users": count_column("Users"),
            "models": "Models",
            "first_at": time_column("First"),
        },
    )
    if kinds[0]["kinds"] > len(kinds):
        st.caption(f"The {len(kinds)} most frequent of {kinds[0]['kinds']:,} kinds.")
    if not chosen and key not in keys:
        return key
    if chosen:
        st.query_params["kind"] = chosen[0]
    else:
        st.caption("Select a kind to see what to do about it, and its jobs alone.")
        st.query_params.pop("kind", None)
    return chosen[0] if chosen else None


def remember_retry() -> None:
    _, keys = st.session_state["kinds drawn"]
    st.session_state["retry kind"] = keys[st.session_state["retry row"].row]


def trend_step() -> str:
    if span.length.days > 7:
        return "per day"
    return "per hour" if span.length.days else "per hour of the last 24 h"


RETRY_ADVICE = {
    "helps": "A retry usually helps.",
    "after": "A retry helps once the cause is removed, not before.",
    "useless": "A retry usually fails again.",
}


def explain(kind: dict[str, Any]) -> None:
    entry = guide_for(kind)
    with st.container(border=True):
        st.markdown(f"**{entry.title}**")
        st.code(kind["error_group"] or "(no message)", language=None, wrap_lines=True)
        st.markdown(entry.meaning)
        st.markdown(f"**What to do.** {entry.todo} {RETRY_ADVICE[entry.retry]}")


def failed_jobs(key: str | None, kind: dict[str, Any] | None) -> None:
    rows = read("failures", "failed", **span.parameters, key=key, most=MAX_SHOWN, **NEWEST)
    if not rows:
        return
    count = kind["jobs"] if kind else None
    of = "of this kind" if key else "of all kinds"
    st.header(f"The newest {len(rows)} {of}" if len(rows) == MAX_SHOWN else f"The jobs {of}")
    jobs = pd.DataFrame(rows, columns=COLUMNS)
    selected = selectable(
        jobs.assign(id=job_links(jobs["id"]), tries=attempt_labels(jobs)),
        list(jobs["id"]),
        name="failed",
        alt="Failed jobs",
        placeholder="–",
        columns={
            "completed_at": time_column("Failed", seconds=True),
            "id": job_column(),
            "error_message": st.column_config.TextColumn("Error", width="large"),
            "model_id": "Model",
            "prompt": st.column_config.TextColumn("Prompt", width="medium"),
            "tries": "Attempt",
            "created_by": "User",
        },
    )
    with st.container(horizontal=True):
        if st.button(
            f"Retry {len(selected):,} selected" if selected else "Retry selected",
            key="retry selected",
            disabled=not selected,
        ):
            confirm_retry(selected, kind)
        label = f"Retry all {count:,} of this kind" if count else "Retry all of this time"
        if st.button(label, key="retry all", type="primary" if key else "secondary"):
            confirm_retry_all(key, kind)
    if len(selected) == 1:
        job_details("The selected job", selected[0])
    elif key:
        job_details("A sample: the newest job of this kind", rows[0]["id"])


def attempt_labels(jobs: pd.DataFrame) -> list[str]:
    return [f"{a} of {m}" for a, m in zip(jobs["attempts"], jobs["max_attempts"], strict=True)]


def job_details(heading: str, job_id: UUID) -> None:
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
        st.markdown("Payload")
        st.code(job["payload"], language="json", height=240, wrap_lines=True)
    with right:
        st.markdown("Errors of its attempts")
        if attempts.empty:
            st.caption("None were kept: the job comes from another worker.")
            return
        st.dataframe(
            attempts.assign(at=pd.to_datetime(attempts["at"], errors="coerce", utc=True)),
            hide_index=True,
            placeholder="–",
            alt="Errors of the job's attempts",
            column_config={
                "attempt": st.column_config.TextColumn("Attempt", width="small"),
                "at": time_column("At", seconds=True),
                "error": st.column_config.TextColumn("Error", width="large"),
                "code": "Code",
                "permanent": "Permanent",
                "retry_after_seconds": st.column_config.TextColumn(
                    "Asked to wait", help="Seconds that the provider asked for."
                ),
            },
        )


def retrying_jobs(key: str | None) -> None:
    rows = read("failures", "tried_again", key=key, most=MAX_SHOWN)
    st.header("Which live jobs have had such an error?" if key else "Which are tried again?")
    st.caption(
        "A failed job cannot be cancelled, it is over. These can: they wait for another attempt"
        " or run it, after an error or a retry by hand."
    )
    if not rows:
        st.caption("None now.")
        return
    jobs = pd.DataFrame(rows)
    total = rows[0]["total"]
    due = ["runs" if pd.isna(s) else due_text(s) for s in jobs["due_in_seconds"]]
    selected = selectable(
        jobs.assign(id=job_links(jobs["id"]), tries=attempt_labels(jobs), due=due),
        list(jobs["id"]),
        name="tried again",
        alt="Live jobs that had an error",
        placeholder="–",
        columns={
            "due": "Next attempt",
            "id": job_column(),
            "error_message": st.column_config.TextColumn("Last error", width="large"),
            "model_id": "Model",
            "prompt": st.column_config.TextColumn("Prompt", width="medium"),
            "tries": "Attempt",
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


def due_text(seconds: float) -> str:
    return f"in {duration(seconds)}" if seconds > 0 else "is due"


def confirm_retry_all(key: str | None, kind: dict[str, Any] | None) -> NoReturn:
    found = read_once("failures", "failed_ids", **span.parameters, key=key, most=MAX_JOBS)
    confirm_retry([row["id"] for row in found], kind)


def confirm_retry(job_ids: list[UUID], kind: dict[str, Any] | None) -> NoReturn:
    ask(job_dialogs.retry(job_ids, RETRY_ADVICE[guide_for(kind).retry] if kind else ""))


# Long ranges cost more to aggregate, and change more slowly.
live(panel, seconds=REFRESH_SECONDS if span.length.days < 2 else 10 * REFRESH_SECONDS)
exported = selected_key()
st.caption(
    f"All failed jobs of {span.description}{' and of the selected kind' if exported else ''}:"
)
csv_export(
    "failures",
    COLUMNS,
    MAX_SHOWN,
    lambda: batches(
        "failures", "failed", NEWEST, ["completed_at", "id"], **span.parameters, key=exported
    ),
)
