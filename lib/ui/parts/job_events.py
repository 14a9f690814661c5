"""What happened to a job, in order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.attempts import Attempt
from lib.formats import duration
from lib.ui.columns import time_column

ACTIONS = {
    "cancel_jobs": "Cancelled by an operator",
    "retry_jobs": "Retried by an operator",
    "reset_stuck_jobs": "Reset by an operator",
    "set_priority": "Priority changed",
    "enqueue_job": "Enqueued by an operator",
    "run_job_again": "Run again by an operator",
}

MAX_UNSCROLLED = 25
"""Longer tables scroll."""

Row = Mapping[str, Any]
Event = tuple[datetime | None, str, str]


def show_events(
    job: Row, attempts: Sequence[Attempt], predictions: Sequence[Row], actions: Sequence[Row]
) -> None:
    """Draw the events of a job, a row of the query `job` in queries/job.sql, as a table."""
    events = [
        *_of_job(job),
        *(event for attempt in attempts for event in _of_attempt(attempt)),
        *(event for each in predictions for event in _of_prediction(each)),
        *((act["at"], ACTIONS.get(act["action"], act["action"]), act["actor"]) for act in actions),
    ]
    table = pd.DataFrame(events, columns=["at", "event", "detail"])
    table["at"] = pd.to_datetime(table["at"], utc=True)
    table = table.sort_values("at", kind="stable", na_position="last")
    steps = table["at"].diff().dt.total_seconds()
    table["after"] = [None if pd.isna(step) else duration(step) for step in steps]
    st.dataframe(
        table,
        key="events",
        alt="Events of the job, in order",
        hide_index=True,
        height="content" if len(table) <= MAX_UNSCROLLED else "auto",
        placeholder="",
        column_order=["at", "after", "event", "detail"],
        column_config={
            "at": time_column("Time", seconds=True, year=True),
            "after": st.column_config.TextColumn("After", help="Since the event above."),
            "event": "Event",
            "detail": st.column_config.TextColumn("Detail", width="large"),
        },
    )


def _of_job(job: Row) -> Iterator[Event]:
    yield job["created_at"], "Created", ""
    if job["status"] == "pending":
        yield job["scheduled_at"], "Due", ""
    if job["status"] == "processing" and job["heartbeat_at"]:
        yield job["heartbeat_at"], "Last heartbeat", job["worker"] or ""
    if job["completed_at"]:
        yield job["completed_at"], job["status"].capitalize(), ""


def _of_attempt(attempt: Attempt) -> Iterator[Event]:
    if attempt.started_at:
        yield attempt.started_at, f"Attempt {attempt.number} started", attempt.worker
    if attempt.ended_at and attempt.outcome.startswith("failed"):
        yield attempt.ended_at, f"Attempt {attempt.number} ended", attempt.outcome


def _of_prediction(prediction: Row) -> Iterator[Event]:
    attempt = f"attempt {prediction['attempt']}" if prediction["attempt"] else ""
    yield prediction["created_at"], "Prediction requested", attempt
    if prediction["started_at"]:
        yield prediction["started_at"], "Prediction created", prediction["provider_id"] or ""
    if prediction["status"] == "unknown":
        detail = "Could not be confirmed; a replacement was requested."
        yield prediction["ended_at"], "Prediction start unconfirmed", detail
    elif prediction["ended_at"]:
        ran = prediction["predict_seconds"]
        detail = f"ran for {duration(ran)}" if ran is not None else ""
        yield prediction["ended_at"], f"Prediction {prediction['status']}", detail
