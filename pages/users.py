"""Who requests images, with what success, and how close are users to their limits?"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import duration, escaped, plural, share
from lib.queue.job_filters import Filters
from lib.queue.job_list import all_pages, first_page
from lib.queue.operator_actions import set_user_limits
from lib.roles import Role
from lib.ui import charts
from lib.ui.columns import count_column, job_column, job_links, time_column
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, format_time, pool, read, read_once, time_zone
from lib.ui.export import csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.selection import selectable
from lib.ui.time_range import TimeRange, time_range

MAX_EXAMINED = 3_000
MAX_CHARTED = 2_000
MAX_LIMIT = 1_000_000
EXPORT_COLUMNS = [
    "id", "status", "job_type", "model_id", "attempts", "max_attempts", "created_at",
    "scheduled_at", "started_at", "completed_at", "whole_error", "payload",
]  # fmt: skip


def selected_user() -> UUID | None:
    """Draw the search field; the user found by id or e-mail address, None if it is empty."""
    by_email = read("users", "may_read_users")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query_text = st.text_input(
            "Find a user by id or e-mail address" if by_email else "Find a user by id",
            key="user",
            bind="query-params",
            max_chars=320,
            width=420,
        )
        if query_text:
            st.button("All users", icon=":material/group:", on_click=open_user, args=[""])
    if not (query_text := (query_text or "").strip()):
        return None
    try:
        return UUID(query_text)
    except ValueError:
        found: UUID | None = None
        if by_email and "@" in query_text:
            found = read("users", "id_of_email", email=query_text)
    if found is None:
        st.error(
            "No user has this e-mail address, or it is no whole id."
            if by_email
            else "That is no whole id. This database does not let the app read e-mail addresses."
        )
        st.stop()
    return found


def most_active(time: TimeRange) -> None:
    rows = read("users", "most_active", **time.parameters)
    st.header(f"Who asked for the most images in {time.description}?")
    if not rows:
        st.info("Nobody asked for an image in this time. Applications do by start-generation.")
        return
    examined = rows[0]["looked_at"]
    if examined >= MAX_EXAMINED:
        st.caption(
            f"Among the newest {examined:,} generations of that time, which go back to"
            f" {format_time(rows[0]['looked_back_to'])}."
        )
    emails = emails_of([row["user_id"] for row in rows if row["user_id"]])
    users = pd.DataFrame(
        {
            "user": emails.get(row["user_id"]) or str(row["user_id"] or "no user"),
            "asked": row["asked"],
            "of_all": share(row["asked"], examined),
            "success": share(row["completed"], row["ended"]),
            "failed": row["failed"],
            "id": row["user_id"] and str(row["user_id"]),
        }
        for row in rows
    )
    selected = selectable(
        users,
        list(users["id"]),
        name="users",
        multiple=False,
        alt="Users and what they asked for",
        placeholder="",
        columns={
            "user": "User",
            "asked": count_column("Asked for"),
            "of_all": st.column_config.TextColumn("Share", help="Of the generations looked at."),
            "success": st.column_config.TextColumn(
                "Success", help="Of the newest 100, as far as they have ended."
            ),
            "failed": count_column("Failed", "Of the newest 100."),
            "id": st.column_config.TextColumn("Id", width="medium"),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Open",
            disabled=not any(selected),
            icon=":material/person:",
            on_click=open_user,
            args=selected,
        ):
            st.rerun()
        st.caption("The twenty with the most. Select one to see their jobs and limits.")


def open_user(user_id: str) -> None:
    st.session_state["user"] = user_id


def emails_of(user_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    if not read("users", "may_read_users"):
        return {}
    return {row["id"]: row["email"] for row in read("users", "emails", user_ids=list(user_ids))}


def one_user(user_id: UUID, time: TimeRange) -> None:
    user = read("users", "user", user_id=user_id)
    email = emails_of([user_id]).get(user_id)
    st.text(f"{email}, id {user_id}" if email else f"User {user_id}")
    if user["last_asked_at"] is None:
        st.info("Nobody with this id has asked for an image yet.")
    usage(user)
    history(user_id, time)
    jobs(user_id, time)


def usage(user: Mapping[str, Any]) -> None:
    limits = user["limits"]
    windows = [
        (name, limits[f"{name}_used"], limits[f"{name}_limit"], user[f"own_{name}"], words)
        for name, words in (("hourly", "last hour"), ("daily", "last 24 hours"))
    ]
    with st.grid("auto", min_column_width=260, border=True):
        for _, used, limit, own, words in windows:
            with st.container():
                st.metric(f"Asked for, {words}", f"{used:,} of {limit:,}")
                st.progress(
                    min(used / limit, 1.0) if limit else 1.0,
                    "The default limit" if own is None else "A limit of their own",
                )
    if not limits["can_generate"]:
        full = " and ".join(words for _, used, limit, _, words in windows if used >= limit)
        st.warning(f"The limit of the {full} is reached: further requests are refused with 429.")


def history(user_id: UUID, time: TimeRange) -> None:
    bucket = "day" if time.bucket == "day" else "hour"
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
    if total := int(counts.sum()):
        limited = "The newest " if total >= MAX_CHARTED else ""
        st.text(
            f"{limited}{plural(total, 'generation')} of {time.description}:"
            f" {share(completed, completed + failed)} of those that ended succeeded."
        )
    # Days are in the viewer's time zone, as hours are.
    asked = asked[["bucket", "status", "generations"]].rename(columns={"bucket": "at"})
    chart = charts.bars(asked, "status", "generations", bucket, axis="hour")
    charts.show(
        f"How many images did they ask for in {time.description}?",
        chart,
        asked,
        key="asked",
        description=f"Stacked bars. {charts.describe_bars(asked, 'status', 'hour', 'generations')}",
        columns={
            "at": time_column("From", year=True),
            "status": "Status",
            "generations": count_column("Generations"),
        },
        empty="They asked for none in this time.",
    )


def jobs(user_id: UUID, time: TimeRange) -> None:
    st.header("What became of their last jobs?")
    rows = first_page(partial(read, "jobs"), jobs_of(user_id, time), 20).rows
    if not rows:
        st.caption("No job in this time.")
        return
    st.dataframe(
        [
            {
                **row,
                "id": job_links([row["id"]])[0],
                "run": duration((row["completed_at"] - row["started_at"]).total_seconds())
                if row["completed_at"] and row["started_at"]
                else None,
            }
            for row in rows
        ],
        key="their jobs",
        alt="Their last jobs",
        hide_index=True,
        placeholder="",
        column_order=["created_at", "status", "id", "model_id", "prompt", "error_message", "run"],
        column_config={
            "created_at": time_column("Asked for", seconds=True),
            "status": "Status",
            "id": job_column(),
            "model_id": "Model",
            "prompt": st.column_config.TextColumn("Prompt", width="medium"),
            "error_message": st.column_config.TextColumn("Error", width="medium"),
            "run": "Ran for",
        },
    )
    st.page_link(
        "pages/jobs.py",
        label="All their jobs",
        icon=":material/list:",
        query_params={"created_by": str(user_id)},
    )


def jobs_of(user_id: UUID, time: TimeRange) -> Filters:
    return Filters(user_id=user_id, start=time.start, length=time.length)


def limits_form(user_id: UUID) -> None:
    user = read("users", "user", user_id=user_id)
    st.header("Set their limits")
    with st.form("limits", width=560):
        with st.container(horizontal=True):
            hourly = limit_input("In one hour", user["default_hourly"], user["own_hourly"], user_id)
            daily = limit_input("In 24 hours", user["default_daily"], user["own_daily"], user_id)
        st.caption("Left empty, the default holds. 0 allows nothing.")
        if st.form_submit_button("Set limits"):
            ask(limits_action(user_id, daily, hourly))


def limit_input(label: str, default: int, own: int | None, user_id: UUID) -> int | None:
    return st.number_input(
        label,
        min_value=0,
        max_value=MAX_LIMIT,
        value=own,
        step=1,
        placeholder=f"default: {default}",
        key=f"{label} {user_id} {own}",
    )


def limits_action(user_id: UUID, daily: int | None, hourly: int | None) -> Action:
    def run() -> str:
        set_user_limits(pool(), actor(), user_id, daily, hourly)
        return "The limits are set."

    name = escaped(emails_of([user_id]).get(user_id) or str(user_id))
    return Action(
        "Set a user's limits",
        f"User {name} may then start {limit_text(hourly)} images in an hour and"
        f" {limit_text(daily)} in 24"
        " hours. What they already asked for counts.",
        "Set limits",
        run,
        needs=Role.ADMIN,
    )


def limit_text(limit: int | None) -> str:
    return "the default number of" if limit is None else f"at most {limit:,}"


confirmations()
with rerun_when_reachable():
    chosen = selected_user()
    time = time_range()
    if chosen is None:
        live(partial(most_active, time))
    else:
        live(partial(one_user, chosen, time))
        csv_export(
            "jobs of a user",
            EXPORT_COLUMNS,
            0,
            lambda: all_pages(partial(read_once, "jobs"), jobs_of(chosen, time)),
        )
        limits_form(chosen)
