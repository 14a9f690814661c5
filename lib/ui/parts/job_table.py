"""The table of the page Jobs: one page of the list, with thumbnails and the users' addresses."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.checks.error_title import short_error
from lib.formats import duration
from lib.queue.job_list import JobRow
from lib.ui.columns import age_column, job_column, job_links, model_name, short_id, time_column
from lib.ui.dashboard import read
from lib.ui.images import thumbnail_sources
from lib.ui.parts.stuck_jobs import LONGEST_SILENT
from lib.ui.parts.stuck_jobs import MAX_SHOWN as MAX_STUCK
from lib.ui.selection import selectable

STATUS_LABELS = {
    "pending": "Pending",
    "processing": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "stuck": "Stuck",
}
STATUS_COLORS = ["gray", "blue", "green", "red", "gray", "orange"]
"""Of the labels, in order."""
WITHOUT = {
    "pending": ("image", "run"),
    "running": ("image", "run"),
    "completed": ("error",),
    "failed": ("image",),
    "cancelled": ("image",),
}
"""Columns that are empty in a view; the prompt has their width there."""
PROMPT_WIDTH = 218


def job_table(rows: Sequence[JobRow], view: str) -> list[JobRow]:
    """Draw the table of a view; a click on a job opens it. Returns the selected jobs."""
    images, emails, stuck = _images(rows), _emails(rows), _stuck(rows)
    cells = [_cells(row, images, emails, stuck) for row in rows]
    without = WITHOUT.get(view, ())
    if "error" not in without and not any(cell["error"] for cell in cells):
        without = (*without, "error")
    selected = selectable(
        pd.DataFrame(cells),
        [row["id"] for row in rows],
        name="jobs",
        alt="Jobs",
        placeholder="",
        height=560,
        opens=open_job,
        columns=_columns(without),
        phone=("label", "prompt" if "error" in without else "error", "when"),
        more={
            "link": job_column(help="Opens in a new tab."),
            "job_type": "Type",
            "model_id": "Model id",
            "priority": "Priority",
            "tries": "Attempts",
            "created_at": time_column("Created", seconds=True),
            "scheduled_at": time_column("Scheduled", seconds=True),
            "started_at": time_column("Started", seconds=True),
            "completed_at": time_column("Ended", seconds=True),
            "user_id": "User id",
            "error_message": "Error message",
        },
    )
    return [row for row in rows if row["id"] in selected]


def _columns(without: Sequence[str]) -> dict[str, Any]:
    widths = {
        "image": 52, "label": 104, "model": 150, "prompt": PROMPT_WIDTH, "error": 150, "user": 140,
        "when": 124, "run": 76,
    }  # fmt: skip
    widths["prompt"] += sum(widths[name] for name in without)
    columns = {
        "image": st.column_config.ImageColumn("", width=widths["image"], help="The image"),
        "label": st.column_config.MultiselectColumn(
            "Status",
            options=[*STATUS_LABELS.values()],
            color=STATUS_COLORS,
            width=widths["label"],
        ),
        "prompt": st.column_config.TextColumn("Prompt", width=widths["prompt"]),
        "error": st.column_config.TextColumn("Error", width=widths["error"]),
        "model": st.column_config.TextColumn("Model", width=widths["model"]),
        "user": st.column_config.TextColumn("User", width=widths["user"]),
        "when": age_column(
            "Time",
            width=widths["when"],
            help="When the job ended; for running jobs, when it started; for pending jobs, when it"
            " is due.",
        ),
        "run": st.column_config.TextColumn("Duration", width=widths["run"]),
    }
    return {name: column for name, column in columns.items() if name not in without}


def open_job(id: UUID) -> NoReturn:
    """Go to the page of a job."""
    st.switch_page("pages/job.py", query_params={"id": str(id)})


def _cells(
    row: JobRow,
    images: dict[UUID, str | None],
    emails: dict[UUID, str | None],
    stuck: Collection[UUID],
) -> dict[str, Any]:
    started, ended, user = row["started_at"], row["completed_at"], row["created_by"]
    is_stuck = row["id"] in stuck
    until = datetime.now(UTC) if row["status"] == "processing" else ended
    return {
        "image": images.get(row["generation_id"]) if row["generation_id"] else None,
        "label": [STATUS_LABELS["stuck" if is_stuck else row["status"]]],
        "model": model_name(row["model_id"]),
        "prompt": row["prompt"],
        "error": "No heartbeat" if is_stuck else short_error(row),
        "user": (emails.get(user) or short_id(user)) if user else None,
        "when": ended or (row["scheduled_at"] if row["status"] == "pending" else started),
        "run": duration((until - started).total_seconds()) if started and until else None,
        "link": job_links([row["id"]])[0],
        "tries": f"{row['attempts']} of {row['max_attempts']}",
        "user_id": user and str(user),
        **{
            name: row[name]
            for name in (
                "job_type", "model_id", "priority", "created_at", "scheduled_at", "started_at",
                "completed_at", "error_message",
            )
        },
    }  # fmt: skip


def _images(rows: Sequence[JobRow]) -> dict[UUID, str | None]:
    """URLs of thumbnails, by generation."""
    ids = [row["generation_id"] for row in rows if row["status"] == "completed"]
    found = read("jobs", "images", generation_ids=[id for id in ids if id]) if any(ids) else []
    return dict(zip((image["id"] for image in found), thumbnail_sources(found), strict=True))


def _stuck(rows: Sequence[JobRow]) -> set[UUID]:
    """Ids of the jobs without a recent heartbeat."""
    if not any(row["status"] == "processing" for row in rows):
        return set()
    found = read("jobs", "stuck", model_id=None, job_type=None, **LONGEST_SILENT, most=MAX_STUCK)
    return {row["id"] for row in found}


def _emails(rows: Sequence[JobRow]) -> dict[UUID, str | None]:
    users = sorted({row["created_by"] for row in rows if row["created_by"]})
    if not users or not read("users", "may_read_users"):
        return {}
    return {user["id"]: user["email"] for user in read("users", "emails", user_ids=users)}
