"""Which jobs fail, why, and what can I do about it?"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NoReturn
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.checks.error_guide import guide
from lib.checks.error_title import short_error
from lib.checks.guide import Guide
from lib.checks.refusals import is_refusal, refusal_sentence
from lib.formats import plural, share
from lib.ops.action_texts import RETRY_ADVICE
from lib.ui.columns import (
    age_column,
    count_column,
    job_column,
    job_links,
    model_name,
    model_names,
    time_column,
)
from lib.ui.confirm import ask, confirmations
from lib.ui.dashboard import REFRESH_SECONDS, read, read_once
from lib.ui.export import NEWEST, batches, csv_export
from lib.ui.live import live
from lib.ui.navigation import link
from lib.ui.parts import job_dialogs
from lib.ui.parts.empty_queue import empty_queue
from lib.ui.parts.failed_jobs import MAX_JOBS, attempt_labels, job_details, retrying_jobs
from lib.ui.parts.unknown_outcomes import unknown_outcomes
from lib.ui.selection import selectable
from lib.ui.time_range import time_range

MAX_SHOWN = 200
MAX_ERROR_FILTER = 200
"""Length of the Jobs page's error filter."""
COLUMNS = [
    "completed_at", "model_id", "error_message", "error_code", "prompt", "attempts", "max_attempts",
    "created_by", "job_type", "created_at", "id",
]  # fmt: skip

confirmations()
span = time_range(("1 h", "6 h", "24 h", "7 d", "30 d"))


def panel() -> None:
    groups = read("failures", "groups", **span.parameters)
    show_summary(groups)
    unknown_outcomes()
    by_key = {group["key"]: group for group in groups}
    if retried := st.session_state.pop("group to retry", None):
        confirm_retry_all(retried, by_key.get(retried))
    key = group_table(groups) if groups else selected_key()
    group = by_key.get(key or "")
    if key and group:
        show_group(key, group)
    elif key:
        if groups:
            st.info(f"This error group has no failed jobs in {span.description}.")
        if st.button("Show all groups"):
            del st.query_params["kind"]
            st.rerun()
    failed_jobs(key, groups)
    retrying_jobs(key, MAX_SHOWN)


def selected_key() -> str | None:
    """The error group selected in the URL."""
    key = st.query_params.get("kind", "")
    return key if re.fullmatch("[0-9a-f]{12}", key) else None


def show_summary(groups: Sequence[dict[str, Any]]) -> None:
    refused = f", {groups[0]['refused']:,} refused" if groups and groups[0]["refused"] else ""
    if not groups and empty_queue("This page groups failed jobs by cause and says what to do."):
        return
    if not groups or is_refusal(groups[0]):
        st.success(
            f"No failed jobs{refused} in {span.description}.", icon=":material/check_circle:"
        )
        return
    first = groups[0]
    kinds = first["kinds"] + sum(map(is_refusal, groups))
    st.markdown(
        f"**{plural(first['total'])} failed{refused} in {span.description}**, in"
        f" {plural(kinds, 'group')}. Most frequent"
        f" ({share(first['jobs'], first['total'])} of failures): {guide_for(first).title}."
    )


def guide_for(group: dict[str, Any]) -> Guide:
    return guide(group["error_code"], group["error_group"])


def group_table(groups: Sequence[dict[str, Any]]) -> str | None:
    """Draw the error groups; returns the key of the selected one."""
    st.header("Error groups")
    table = pd.DataFrame(groups)
    guides = [guide_for(group) for group in groups]
    table["about"] = [
        f"Refused: {refusal_sentence(group)}" if is_refusal(group) else entry.title
        for entry, group in zip(guides, groups, strict=True)
    ]
    table["retry"] = [
        f"Retry {group['jobs']:,}" if entry.retry == "helps" else None
        for entry, group in zip(guides, groups, strict=True)
    ]
    table["models"] = [model_names(group["models"]) for group in groups]
    table["error_group"] = table["error_group"].replace("", "(no message)")
    keys, key = list(table["key"]), selected_key()
    chosen = selectable(
        table,
        keys,
        name="groups",
        multiple=False,
        selected=[key],
        alt="Error groups",
        phone=("jobs", "about", "retry"),
        placeholder="",
        columns={
            "jobs": count_column("Jobs", width=65),
            "about": st.column_config.TextColumn("Error", width=295),
            "trend": st.column_config.BarChartColumn(
                "Trend",
                y_min=0,
                width=130,
                help=f"Failed jobs {trend_step()}. The last bar is incomplete.",
            ),
            "last_at": age_column("Last seen"),
            "users": count_column("Users", width=60),
            "models": st.column_config.TextColumn("Models", width=150),
            "retry": st.column_config.ButtonColumn(
                "", key="retry row", on_click=remember_retry, width=105
            ),
        },
        more={
            "error_group": "Error message",
            "first_at": time_column("First seen"),
            "error_code": "Error code",
        },
    )
    if groups[0]["kinds"] > len(groups):
        st.caption(f"Showing the {len(groups)} most frequent of {groups[0]['kinds']:,} groups.")
    if not chosen and key is not None and key not in keys:
        return key
    if chosen:
        st.query_params["kind"] = chosen[0]
    else:
        st.caption("Click a group to see its cause, what to do, and its jobs.")
        st.query_params.pop("kind", None)
    return chosen[0] if chosen else None


def remember_retry() -> None:
    _, keys = st.session_state["groups drawn"]
    st.session_state["group to retry"] = keys[st.session_state["retry row"].row]


def trend_step() -> str:
    if span.length.days > 7:
        return "per day"
    return "per hour" if span.length.days else "per hour in the last 24 h"


def show_group(key: str, group: dict[str, Any]) -> None:
    """Draw what the error means, what to do and the group's actions."""
    entry = guide_for(group)
    with st.container(border=True):
        st.markdown(f"**{entry.title}.** {entry.meaning}")
        st.markdown(f"**What to do:** {entry.todo} {RETRY_ADVICE[entry.retry]}")
        message = refusal_sentence(group) if is_refusal(group) else group["error_group"]
        st.code(message or "(no message)", language=None, wrap_lines=True)
        with st.container(horizontal=True, vertical_alignment="center"):
            # What is likely to fail again is not offered first.
            if entry.retry == "helps":
                retry_button(key, group, "primary")
                jobs_link(group)
            else:
                jobs_link(group)
                retry_button(key, group, "secondary")


def retry_button(key: str, group: dict[str, Any], kind: Literal["primary", "secondary"]) -> None:
    if st.button(f"Retry all {group['jobs']:,}", key="retry group", type=kind):
        confirm_retry_all(key, group)


def jobs_link(group: dict[str, Any]) -> None:
    models = group["models"]
    link(
        "jobs",
        "Show jobs",
        ":material/list:",
        view="failed",
        error=searched_text(group["error_group"]),
        **({"model": models[0]} if len(models) == 1 and models[0] else {}),
        **({"time": str(st.session_state["time"])} if span.start is None else {}),
    )


def searched_text(error_group: str) -> str:
    """The error filter of the Jobs page that finds a group: its message, * for what varies."""
    return re.sub(r"<[a-z]+>", "*", error_group)[:MAX_ERROR_FILTER].strip("*. ")


def failed_jobs(key: str | None, groups: Sequence[dict[str, Any]]) -> None:
    rows = read("failures", "failed", **span.parameters, key=key, most=MAX_SHOWN, **NEWEST)
    if not rows:
        return
    of = "Failed jobs"
    if key:
        of = "Jobs in this group"
    elif groups and groups[0]["refused"]:
        of = "Failed and refused jobs"
    st.header(f"{of}, newest {MAX_SHOWN}" if len(rows) == MAX_SHOWN else of)
    jobs = pd.DataFrame(rows, columns=COLUMNS)
    selected = selectable(
        jobs.assign(
            id=job_links(jobs["id"]),
            tries=attempt_labels(jobs),
            about=[short_error(row) for row in rows],
            model=[model_name(row["model_id"]) for row in rows],
        ),
        list(jobs["id"]),
        name="failed",
        alt="Failed jobs",
        placeholder="–",
        columns={
            "completed_at": age_column("Failed"),
            "model": st.column_config.TextColumn("Model", width=130),
            "about": st.column_config.TextColumn("Error", width=230),
            "prompt": st.column_config.TextColumn("Prompt", width=290),
            "tries": st.column_config.TextColumn("Attempt", width=70),
            "id": job_column(),
        },
        more={
            "error_message": "Error message",
            "model_id": "Model id",
            "error_code": "Error code",
            "created_by": "User id",
            "job_type": "Type",
            "created_at": time_column("Created", seconds=True),
        },
    )
    group = next((group for group in groups if group["key"] == key), None)
    with st.container(horizontal=True):
        if st.button(
            f"Retry {len(selected):,} selected" if selected else "Retry selected",
            key="retry selected",
            disabled=not selected,
        ):
            confirm_retry(selected, group)
        if not key and groups and groups[0]["total"]:
            retry_all_button(groups)
    if len(selected) == 1:
        job_details("Selected job", selected[0])
    elif key:
        job_details("Newest job in this group", rows[0]["id"])


def retry_all_button(groups: Sequence[dict[str, Any]]) -> None:
    """Draw the button that retries the jobs of all groups where that is likely to help."""
    helped = [group for group in groups if guide_for(group).retry == "helps"]
    jobs, total = sum(group["jobs"] for group in helped), groups[0]["total"]
    label = f"Retry all {total:,}" if jobs == total else f"Retry {jobs:,} of {total:,}"
    left_out = "The others are likely to fail again: check their groups first."
    if jobs and st.button(label, key="retry all", help=None if jobs == total else left_out):
        failed = partial(read_once, "failures", "failed_ids", **span.parameters, most=MAX_JOBS)
        found = [row["id"] for group in helped for row in failed(key=group["key"])]
        ask(job_dialogs.retry(found[:MAX_JOBS]))


def confirm_retry_all(key: str, group: dict[str, Any] | None) -> NoReturn:
    found = read_once("failures", "failed_ids", **span.parameters, key=key, most=MAX_JOBS)
    confirm_retry([row["id"] for row in found], group)


def confirm_retry(job_ids: list[UUID], group: dict[str, Any] | None) -> NoReturn:
    ask(job_dialogs.retry(job_ids, RETRY_ADVICE[guide_for(group).retry] if group else ""))


# Long ranges cost more to aggregate, and change more slowly.
reachable = live(panel, seconds=REFRESH_SECONDS * (1 if span.length.days < 2 else 10))
exported = selected_key()
if reachable:
    st.caption(f"Failed jobs{' in this error group' if exported else ''} in {span.description}:")
csv_export(
    "failures",
    COLUMNS,
    MAX_SHOWN,
    lambda: batches(
        "failures", "failed", NEWEST, ["completed_at", "id"], **span.parameters, key=exported
    ),
)
