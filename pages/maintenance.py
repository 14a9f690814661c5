"""What maintenance does the queue need?"""

from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import duration, escaped, plural
from lib.ops.maintenance.purge import Purge
from lib.ops.maintenance.tasks import FREQUENCIES, TaskState, record
from lib.queue.operator_actions import purge_cron_history, stop_purge
from lib.resources import database_url
from lib.settings import settings
from lib.ui.columns import count_column, percent_column, time_column
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import (
    actor,
    clear_cached_answers,
    format_time,
    format_time_of_day,
    pool,
    read,
    read_once,
)
from lib.ui.export import csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.navigation import link
from lib.ui.parts.growth import capacity
from lib.ui.parts.maintenance_tasks import current_tasks
from lib.ui.parts.model_settings import models
from lib.ui.parts.sample_data import has_sample_data, remove_button
from lib.ui.parts.space import space

VIEWS = ["Tasks", "Purge", "Space", "Growth", "Models", "Limits"]
NEAR_LIMIT_SHARE = 0.8
CRON_DAYS = 7
LIMIT_COLUMNS = [
    "user_id", "daily_used", "daily_limit", "hourly_used", "hourly_limit", "used", "own",
]  # fmt: skip

view = st.segmented_control(
    "View", VIEWS, default="Tasks", required=True, key="view", bind="query-params",
    label_visibility="collapsed",
)  # fmt: skip


def tasks() -> None:
    found = current_tasks()
    overdue = sum(state.overdue for state in found)
    if overdue:
        st.warning(f"**{overdue} of {len(found)} tasks due**", icon=":material/task:")
    else:
        st.success("**All good.** No tasks due.", icon=":material/check_circle:")
    by_rhythm = sorted(found, key=lambda state: list(FREQUENCIES).index(state.task.frequency))
    for rhythm, members in groupby(by_rhythm, key=lambda state: state.task.frequency):
        st.header(rhythm)
        with st.container(border=True, gap="xsmall"):
            for state in members:
                task_row(state)


def task_row(state: TaskState) -> None:
    task = state.task
    last = f"Last done {format_time(state.at)} by {escaped(state.actor or '')}." if state.at else ""
    badge = ":orange-badge[Due]" if state.overdue else ":green-badge[Done]"
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(gap=None):
            st.markdown(f"{badge} **{task.title}**")
            st.caption(f"{task.todo} {last or 'Not done yet.'}")
        if task.view is None:
            link(task.page)
        elif st.button(
            task.view, key=f"open {task.name}", type="tertiary", on_click=open_view,
            args=[task.view], icon=":material/arrow_forward:",
        ):  # fmt: skip
            st.rerun()
        if st.button("Mark as done", key=f"done {task.name}"):
            ask(mark_done_action(state))


def open_view(name: str) -> None:
    st.session_state["view"] = name


def mark_done_action(state: TaskState) -> Action:
    def run() -> str:
        record(pool(), actor(), state.task.name)
        return f"“{state.task.title}” marked as done."

    return Action(
        "Mark as done",
        f"Records that you have done “{state.task.title}”. Nothing else is changed.",
        "Mark as done",
        run,
    )


def purge() -> None:
    now = read("maintenance", "purge_now")
    if now:
        purge_progress(now)
    else:
        purge_form()
    if has_sample_data():
        st.header("Sample data")
        st.caption("Simulated jobs, users and images, loaded at the first start.")
        remove_button()
    cron_history()
    st.header("Recent purges")
    rows = pd.DataFrame(read("maintenance", "purges"))
    if rows.empty:
        st.caption("No purges.")
        return
    st.dataframe(
        rows.assign(took=rows["seconds"].map(duration)),
        hide_index=True,
        column_order=["started_at", "actor", "older_than_days", "jobs", "took", "outcome"],
        column_config={
            "started_at": time_column("Started", seconds=True),
            "actor": "User",
            "older_than_days": st.column_config.NumberColumn("Older than", format="%d days"),
            "jobs": count_column("Jobs deleted"),
            "took": "Duration",
            "outcome": "Outcome",
        },
    )


def purge_progress(now: dict[str, Any]) -> None:
    left = read("maintenance", "purgeable", older_than=timedelta(days=now["older_than_days"]))[
        "jobs"
    ]
    if now["silent"]:
        st.warning(
            "No progress for 1 min: the app that ran this purge has probably stopped. Press “Stop"
            " purge”, then start a new purge. Deleted jobs stay deleted."
        )
    st.progress(
        min(now["jobs"] / max(now["jobs"] + left, 1), 1.0),
        f"{now['jobs']:,} of about {now['jobs'] + left:,} jobs deleted. Started by"
        f" {escaped(now['actor'])} at {format_time_of_day(now['started_at'])}.",
    )
    if st.button("Stop purge", icon=":material/stop:"):
        ask(
            Action(
                "Stop purge",
                "Stops after the current batch. Deleted jobs stay deleted.",
                "Stop purge",
                lambda: (
                    "Purge stopped."
                    if stop_purge(pool(), actor())
                    else "The purge had already ended."
                ),
                decline="Keep purging",
            )
        )


def purge_form() -> None:
    days = st.number_input(
        "Delete jobs older than (days)",
        1,
        3650,
        90,
        key="days",
        bind="query-params",
        width=420,
    )
    found = read("maintenance", "purgeable", older_than=timedelta(days=days))
    if found["later"]:
        st.info(
            f"{plural(found['later'], 'more job')} can be deleted once the rollup has caught up."
        )
    elif not found["jobs"]:
        since = f" The oldest ended {format_time(found['oldest'])}." if found["oldest"] else ""
        st.success(f"No jobs to delete.{since}", icon=":material/check_circle:")
    if not found["jobs"]:
        return
    count = plural(found["jobs"])
    st.markdown(
        f"**About {count}** of {found['kept']:,} ended more than {plural(days, 'day')} ago."
    )
    if st.button(f"Purge about {count}", key="purge", type="primary"):
        ask(
            Action(
                f"Purge about {count}",
                f"Permanently deletes about {count} that ended more than {plural(days, 'day')}"
                " ago, with their payloads and errors, in small batches that do not slow down"
                " workers. Statistics and users' images are kept.",
                f"Purge about {count}",
                partial(start_purge, days),
            )
        )


def start_purge(days: int) -> str:
    run = Purge(database_url(settings()), actor(), timedelta(days=days), clear_cached_answers)
    if run.ended:
        return f"{plural(run.jobs)} deleted."
    return "Purge started. It continues if you leave this page."


def cron_history() -> None:
    rows = read("maintenance", "cron_history_rows")
    if rows is None:
        return
    st.header("pg_cron history")
    st.markdown(f"**{plural(rows, 'run')}**. pg_cron never deletes runs automatically.")
    if rows and st.button(f"Delete runs older than {CRON_DAYS} days", key="purge runs"):
        ask(
            Action(
                f"Delete runs older than {CRON_DAYS} days",
                f"Deletes up to 10,000 runs that ended more than {CRON_DAYS} days ago from"
                " cron.job_run_details, for all schedules in this database.",
                f"Delete runs older than {CRON_DAYS} days",
                delete_cron_runs,
            )
        )


def delete_cron_runs() -> str:
    deleted = purge_cron_history(pool(), actor(), timedelta(days=CRON_DAYS))
    return f"{plural(deleted, 'run')} deleted."


def limits() -> None:
    rows = read("maintenance", "near_limits", share=NEAR_LIMIT_SHARE)
    active_users = read("maintenance", "asking")
    st.header("Users near their limits")
    if not rows:
        st.success(
            f"No user has used {NEAR_LIMIT_SHARE:.0%} of a limit"
            f" ({plural(active_users, 'active user')} in the last 24 h).",
            icon=":material/check_circle:",
        )
        return
    over = sum(row["used"] >= 1 for row in rows)
    st.markdown(
        f"**{plural(over, 'user')} at a limit**, {len(rows) - over:,} above"
        f" {NEAR_LIMIT_SHARE:.0%}, out of {plural(active_users, 'active user')} in the last 24 h."
        " Click a user to change their limits."
    )
    st.dataframe(
        pd.DataFrame(rows).assign(
            user=[f"/users?user={row['user_id']}" for row in rows],
            used=[row["used"] * 100 for row in rows],
        ),
        hide_index=True,
        alt="Users near their limits",
        column_order=[
            "user",
            "used",
            "daily_used",
            "daily_limit",
            "hourly_used",
            "hourly_limit",
            "own",
        ],
        column_config={
            "user": st.column_config.LinkColumn("User", display_text=r"user=(.*)", width=300),
            "used": percent_column("Used", width=80),
            "daily_used": count_column("Last 24 h", width=100),
            "daily_limit": count_column("Daily limit", width=100),
            "hourly_used": count_column("Last hour", width=100),
            "hourly_limit": count_column("Hourly limit", width=100),
            "own": st.column_config.CheckboxColumn("Custom limits", width=110),
        },
    )


confirmations()
if view == "Models":
    # Not live: a refresh would disturb form input.
    with rerun_when_reachable():
        models()
else:
    parts = {
        "Tasks": (tasks, 10.0),
        "Purge": (purge, 2.0),
        "Space": (space, 10.0),
        "Growth": (capacity, 30.0),
        "Limits": (limits, 10.0),
    }
    part, seconds = parts[view]
    live(part, seconds=seconds)
if view == "Limits":
    csv_export(
        "limits",
        LIMIT_COLUMNS,
        200,
        lambda: [read_once("maintenance", "near_limits", share=NEAR_LIMIT_SHARE)],
    )
