"""Who requests images, with what success, and how close are users to their limits?"""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import plural
from lib.queue.job_filters import Filters
from lib.queue.job_list import all_pages
from lib.ui.columns import count_column, percent_column
from lib.ui.confirm import confirmations
from lib.ui.dashboard import format_time, read, read_once
from lib.ui.export import csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.parts import user as parts
from lib.ui.parts.empty_queue import empty_queue
from lib.ui.selection import opened
from lib.ui.time_range import TimeRange, time_range

MAX_EXAMINED = 3_000
MAX_FOUND = 20
EXPORT_COLUMNS = [
    "id", "status", "job_type", "model_id", "attempts", "max_attempts", "created_at",
    "scheduled_at", "started_at", "completed_at", "whole_error", "payload",
]  # fmt: skip


def selected_user() -> UUID | None:
    """Draw the search field; the user found by it, None if it is empty.

    Ends the page with a list of the matches if there are several, or none.
    """
    if (clicked := st.session_state.pop("clicked user", None)) is not None:
        st.session_state["user"] = clicked
    by_email = read("users", "may_read_users")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search by e-mail or user id" if by_email else "Search by user id",
            key="user",
            bind="query-params",
            max_chars=320,
            placeholder="Part of an e-mail address" if by_email else None,
            width=420,
        )
        if text:
            st.button("All users", icon=":material/arrow_back:", on_click=show_all)
    if not (text := (text or "").strip()):
        return None
    try:
        return UUID(text)
    except ValueError:
        if not by_email:
            st.error(
                "Enter a complete user id. This database does not let the app read e-mail"
                " addresses."
            )
            st.stop()
    found = read("users", "by_email", text=text, most=MAX_FOUND)
    if len(found) == 1:
        return UUID(str(found[0]["id"]))
    matches(found)
    st.stop()


def show_all() -> None:
    st.session_state["user"] = ""


def matches(found: Sequence[dict[str, Any]]) -> None:
    """Draw the users that match the search."""
    if not found:
        st.info("No users match. Enter part of an e-mail address, or a complete user id.")
        return
    least = "At least " if len(found) == MAX_FOUND else ""
    st.markdown(f"**{least}{plural(len(found), 'user')} found**")
    users = pd.DataFrame({"email": row["email"], "id": str(row["id"])} for row in found)
    clicked = opened(
        users,
        list(users["id"]),
        name="matches",
        alt="Users that match the search",
        columns={
            "email": st.column_config.TextColumn("E-mail", width=400),
            "id": st.column_config.TextColumn("User id", width=320),
        },
    )
    if clicked:
        open_user(clicked)
    st.caption("Click a user to see their images and limits.")


def open_user(user_id: str) -> None:
    # The search field is drawn already; it takes the value in the next run.
    st.session_state["clicked user"] = user_id
    st.rerun()


def most_active(time: TimeRange) -> None:
    rows = read("users", "most_active", **time.parameters)
    if not rows:
        if not empty_queue("This page lists the most active users, with their images and limits."):
            st.info(f"No images requested in {time.description}.")
        return
    examined = rows[0]["examined"]
    if examined >= MAX_EXAMINED:
        since = format_time(rows[0]["examined_since"])
        st.markdown(f"**The newest {examined:,} requests**, since {since}")
    else:
        st.markdown(f"**{plural(examined, 'image')} requested in {time.description}**")
    st.header("Most active users")
    emails = parts.emails_of([row["user_id"] for row in rows if row["user_id"]])
    users = pd.DataFrame(
        {
            "user": emails.get(row["user_id"]) or str(row["user_id"] or "(no user)"),
            "requested": row["requested"],
            "share": 100 * row["requested"] / examined,
            "success": 100 * row["completed"] / row["ended"] if row["ended"] else None,
            "failed": row["failed"],
            "refused": row["refused"],
            "id": str(row["user_id"] or ""),
        }
        for row in rows
    )
    clicked = opened(
        users,
        list(users["id"]),
        name="users",
        alt="Most active users",
        placeholder="–",
        columns={
            "user": st.column_config.TextColumn("User", width=240),
            "requested": count_column("Requested", width=110),
            "share": percent_column("Share", "Of all requests.", width=110),
            "success": percent_column(
                "Success rate", "Of the user's newest 100 ended requests.", width=120
            ),
            "failed": count_column("Failed", "Of the user's newest 100 ended requests.", width=110),
            "refused": count_column(
                "Refused",
                "By a safety filter or the prompt check, of the user's newest 100 ended requests.",
                width=110,
            ),
        },
        more={"id": "User id"},
    )
    if clicked:
        open_user(clicked)
    st.caption("Click a user to see their images and limits.")


def jobs_of(user_id: UUID, time: TimeRange) -> Filters:
    return Filters(user_id=user_id, start=time.start, length=time.length)


confirmations()
with rerun_when_reachable():
    chosen = selected_user()
    if chosen is None:
        time = time_range()
        live(partial(most_active, time))
    else:
        parts.user_header(chosen)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            time = time_range(default="7 d")
            text = parts.prompt_filter()
        live(partial(parts.one_user, chosen, time, text))
        csv_export(
            "jobs of a user",
            EXPORT_COLUMNS,
            0,
            partial(all_pages, partial(read_once, "jobs"), jobs_of(chosen, time)),
        )
