"""Parts of the Users page that show one user: limits, images and requests."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.checks.error_guide import guide
from lib.formats import duration, escaped, plural, share
from lib.queue.operator_actions import set_user_limits
from lib.roles import Role
from lib.ui import charts
from lib.ui.columns import (
    age_column,
    count_column,
    job_column,
    job_links,
    model_name,
    time_column,
)
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, pool, read, time_zone
from lib.ui.images import icon, thumbnail_sources
from lib.ui.navigation import link
from lib.ui.parts.input_images import input_images
from lib.ui.time_range import Step, TimeRange

MAX_CHARTED = 2_000
MAX_IMAGES = 24
MAX_LIMIT = 1_000_000
THUMBNAIL_HEIGHT = 64


def emails_of(user_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """E-mail addresses of users; empty if the database does not let the app read them."""
    if not read("users", "may_read_users"):
        return {}
    return {row["id"]: row["email"] for row in read("users", "emails", user_ids=list(user_ids))}


def user_header(user_id: UUID) -> None:
    """Draw the user's address and id, and the form of their limits."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if email := emails_of([user_id]).get(user_id):
            # The bold part keeps Markdown from making a link, and a copied address is exact.
            name, _, domain = email.rpartition("@")
            heading = f"**{escaped(name)}**\\@{escaped(domain)}"
            st.header(heading, anchor=False, width="content")
        st.caption(f"User id {user_id}", width="stretch")
    _limits_form(user_id)


def prompt_filter() -> str:
    """Draw the filter of the image list; the text that prompts must contain."""
    return str(
        st.text_input(
            "Prompt contains", key="prompt", bind="query-params", max_chars=200, width=300
        )
        or ""
    )


def one_user(user_id: UUID, time: TimeRange, text: str) -> None:
    """Draw a user's usage, their newest images whose prompt contains `text`, and requests."""
    user = read("users", "user", user_id=user_id)
    if user["last_requested_at"] is None:
        st.info("This user has not requested any images.")
    _usage(user)
    _images(user_id, time, text)
    _requests(user_id, time)


def _used_up(limits: Mapping[str, Any], name: str) -> bool:
    return bool(limits[f"{name}_used"] >= limits[f"{name}_limit"])


def _usage(user: Mapping[str, Any]) -> None:
    limits = user["limits"]
    windows = [
        (limits[f"{name}_used"], limits[f"{name}_limit"], user[f"custom_{name}_limit"], words)
        for name, words in (("hourly", "last hour"), ("daily", "last 24 hours"))
    ]
    if not limits["can_generate"]:
        full = [name for name in ("hourly", "daily") if _used_up(limits, name)]
        st.warning(
            f"**{' and '.join(full).capitalize()} limit{'s' if len(full) > 1 else ''} reached.**"
            " Further requests are rejected with HTTP 429.",
            icon=":material/block:",
        )
    with st.grid("auto", min_column_width=260, border=True):
        for used, limit, own, words in windows:
            with st.container():
                st.metric(f"Images, {words}", f"{used:,} of {limit:,}")
                st.progress(
                    min(used / limit, 1.0) if limit else 1.0,
                    "Default limit" if own is None else "Custom limit",
                )


def _images(user_id: UUID, time: TimeRange, text: str) -> None:
    st.header("Images")
    rows = read(
        "users", "generations", user_id=user_id, text=text, most=MAX_IMAGES, **time.parameters
    )
    if not rows:
        what = "No images match this prompt" if text else "No images requested"
        st.caption(f"{what} in {time.description}.")
        return
    completed = [row for row in rows if row["status"] == "completed"]
    sources = dict(zip((row["id"] for row in completed), thumbnail_sources(completed), strict=True))
    thumbnails = [sources.get(row["id"]) for row in rows]
    references = [row["input"] for row in rows if row["input"]]
    inputs = {
        image.reference: icon(image.thumbnail)
        for image in input_images(references)
        if image.thumbnail
    }
    st.dataframe(
        [
            {
                **row,
                "thumbnail": thumbnail,
                "input": inputs.get(row["input"]),
                "status": row["status"].capitalize(),
                "model": model_name(row["model_id"]),
                "why": _why_missing(row, thumbnail),
                "job": job_links([row["job_id"]])[0] if row["job_id"] else None,
            }
            for row, thumbnail in zip(rows, thumbnails, strict=True)
        ],
        key="images",
        alt="Images of the user",
        hide_index=True,
        placeholder="",
        row_height=THUMBNAIL_HEIGHT if any(thumbnails) or inputs else None,
        column_order=[
            *(["input"] if inputs else []),
            "thumbnail",
            "status",
            "created_at",
            "prompt",
            "why",
            "model",
            "job",
        ],
        column_config={
            "input": st.column_config.ImageColumn("Input", width=75),
            "thumbnail": st.column_config.ImageColumn("Image", width=75),
            "status": st.column_config.TextColumn("Status", width=85),
            "created_at": age_column("Requested"),
            "prompt": st.column_config.TextColumn("Prompt", width=265),
            "why": st.column_config.TextColumn("Reason", width=210),
            "model": st.column_config.TextColumn("Model", width=125),
            "job": job_column(),
            "images": count_column("Number of images"),
            "error_message": "Error",
            "model_id": "Model id",
            "completed_at": time_column("Ended", seconds=True),
        },
    )
    if len(rows) == MAX_IMAGES:
        st.caption(
            f"Showing the newest {MAX_IMAGES}. Filter by prompt, or show all of this user's jobs."
        )
    link("jobs", "Show all of this user's jobs", ":material/list:", created_by=str(user_id))


def _why_missing(row: Mapping[str, Any], thumbnail: str | None) -> str | None:
    """Why a generation has no image, as far as the list can tell; None if it has one."""
    error = row["error_message"]
    about = guide(row["error_code"], error).title if error else ""
    match row["status"]:
        case "completed":
            return None if thumbnail else "No image stored"
        case "pending":
            due = row["due_in_seconds"]
            when = f"Next attempt in {duration(due)}" if due and due > 0 else "Pending"
            return f"{when}. Last error: {about}" if about else when
        case "running":
            return "Running"
        case "cancelled":
            return error or "Cancelled"
    return f"{about}: {error}" if error else "Failed without an error message"


def _requests(user_id: UUID, time: TimeRange) -> None:
    bucket: Step = "day" if time.bucket == "day" else "hour"
    rows = read(
        "users",
        "asked",
        user_id=user_id,
        bucket=bucket,
        zone=time_zone().key,
        **time.parameters,
    )
    asked = pd.DataFrame(rows, columns=["bucket", "status", "generations", "first_at"])
    counts = asked.groupby("status")["generations"].sum()
    completed, failed = int(counts.get("completed", 0)), int(counts.get("failed", 0))
    # Days are in the viewer's time zone, as hours are.
    asked = asked[["bucket", "status", "generations"]].rename(columns={"bucket": "at"})
    charts.show(
        "Requests",
        charts.bars(asked, "status", "generations", bucket, axis="hour"),
        asked,
        key="asked",
        description=f"Stacked bar chart."
        f" {charts.describe_bars(asked, 'status', 'hour', 'generations')}",
        columns={
            "at": time_column("From", year=True),
            "status": "Status",
            "generations": count_column("Images"),
        },
        empty="No images requested in this time range.",
    )
    if total := int(counts.sum()):
        newest = "Newest " if total >= MAX_CHARTED else ""
        st.caption(
            f"{newest}{plural(total, 'request')} in {time.description}; success rate"
            f" {share(completed, completed + failed)}."
        )


def _limits_form(user_id: UUID) -> None:
    user = read("users", "user", user_id=user_id)
    with (
        st.form("limits", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        hourly = _limit_input(
            "Images per hour", user["default_hourly"], user["custom_hourly_limit"], user_id
        )
        daily = _limit_input(
            "Images per 24 hours", user["default_daily"], user["custom_daily_limit"], user_id
        )
        if st.form_submit_button("Set limits", icon=":material/tune:"):
            ask(_limits_action(user_id, daily, hourly))


def _limit_input(label: str, default: int, own: int | None, user_id: UUID) -> int | None:
    return st.number_input(
        label,
        min_value=0,
        max_value=MAX_LIMIT,
        value=own,
        step=1,
        placeholder=f"Default: {default:,}",
        help="Leave empty for the default. 0 allows none.",
        key=f"{label} {user_id} {own}",
        width=200,
    )


def _limits_action(user_id: UUID, daily: int | None, hourly: int | None) -> Action:
    limits = f"{_limit_text(hourly)} per hour and {_limit_text(daily)} per 24 hours"
    name = escaped(emails_of([user_id]).get(user_id) or str(user_id))

    def run() -> str:
        set_user_limits(pool(), actor(), user_id, daily, hourly)
        return f"Limits of {name} set: {limits}."

    return Action(
        "Set limits",
        f"Limits {name} to {limits}. Images already requested count towards the new limits.",
        "Set limits",
        run,
        needs=Role.ADMIN,
    )


def _limit_text(limit: int | None) -> str:
    return "the default number of images" if limit is None else plural(limit, "image")
