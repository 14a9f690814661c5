"""Which jobs match these filters?"""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from lib.formats import duration, escaped, plural
from lib.queue.job_filters import LIVE, STATUSES, Filters
from lib.queue.job_list import (
    Count,
    Cursor,
    JobRow,
    Page,
    all_pages,
    by_id,
    count,
    first_page,
    page_after,
    page_before,
)
from lib.ui.columns import job_column, job_links, time_column
from lib.ui.confirm import ask, confirmations
from lib.ui.dashboard import format_time, read, read_once
from lib.ui.export import csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.parts import job_dialogs
from lib.ui.search import FIELDS
from lib.ui.selection import selectable
from lib.ui.time_range import ALL_TIME, RANGES, time_range

EXPORT_COLUMNS = [
    "id", "status", "job_type", "model_id", "created_by", "priority", "attempts", "max_attempts",
    "created_at", "scheduled_at", "started_at", "completed_at", "whole_error", "payload",
]  # fmt: skip
REFRESH_SECONDS = 5.0

fetch = partial(read, "jobs")

st.caption(
    "What runs first, then what waits in the order in which it will be claimed, then what has"
    " ended, newest first."
)


def drop_filters_of_last_visit() -> None:
    # A link to this page applies only the filters in its URL.
    if st.session_state.get("drawn") != st.session_state["page"]:
        for name in FIELDS["jobs"]:
            if name not in st.query_params:
                st.session_state.pop(name, None)


def filters() -> Filters:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        statuses = st.pills(
            "Status",
            STATUSES,
            selection_mode="multi",
            wrap=True,
            key="status",
            bind="query-params",
        )
        digits = st.text_input(
            "Job or generation id",
            # Not "id", which is bound by the Job page.
            key="job",
            bind="query-params",
            max_chars=60,
            placeholder="or its first digits",
            help="Finds the job whatever the other filters say.",
            width=260,
        )
    time = time_range((*RANGES,), ALL_TIME)
    more = st.expander("More filters", on_change="rerun")
    with more, st.grid("auto", min_column_width=220):
        kinds = read("jobs", "kinds") if more.open else {"job_types": (), "models": ()}
        job_type = choice("Type", "type", kinds["job_types"])
        model_id = choice("Model", "model", kinds["models"])
        user = st.text_input("User id", key="created_by", bind="query-params", max_chars=36)
        error = st.text_input("Error contains", key="error", bind="query-params", max_chars=200)
        path = st.text_input(
            "Payload field",
            key="field",
            bind="query-params",
            max_chars=200,
            placeholder="prompt or input.seed",
        )
        value = st.text_input(
            "Its value",
            key="value",
            bind="query-params",
            max_chars=200,
            help="In any case of letters; * stands for anything, as in *fox*.",
        )
    chosen = Filters(
        statuses=tuple(statuses or ()),
        job_type=job_type or None,
        model_id=model_id or None,
        user_id=user_id(user),
        error=error or None,
        path=path or None,
        value=value or "",
        start=time.start,
        length=time.length,
    )
    if digits:
        show_active_filters([f"id begins with {digits}"])
    else:
        show_active_filters(
            [*chosen.summary, *([time.description] if st.session_state["time"] != ALL_TIME else [])]
        )
    return chosen


def show_active_filters(words: Sequence[str]) -> None:
    """List the filters in one line, because most fields are collapsed."""
    if not words:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Filtered: {' · '.join(map(escaped, words))}", width="content")
        st.button(
            "Clear filters", type="tertiary", on_click=clear, icon=":material/filter_alt_off:"
        )


def clear() -> None:
    st.session_state.update(FIELDS["jobs"])


def choice(label: str, key: str, options: Sequence[str]) -> str | None:
    return st.selectbox(
        label, options, index=None, key=key, bind="query-params", accept_new_options=True
    )


def user_id(text: str | None) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        st.error("A user is given by id under More filters; the page Users finds one by e-mail.")
        show_active_filters([f"user {text}"])
        st.stop()


def reset_position_on_filter_change(chosen: Filters) -> None:
    if st.session_state.get("jobs filters", chosen) != chosen:
        go_to()
    st.session_state["jobs filters"] = chosen


def go_to(**place: str) -> None:
    for name in ("after", "before"):
        st.query_params.pop(name, None)
    st.query_params.update(place)


def panel(chosen: Filters) -> None:
    page, number = load_page(chosen)
    st.session_state["jobs counted"] = number
    heading(page, number)
    if page.rows:
        table(page.rows)
    elif page.searched is None:
        st.info("No job is like that. Jobs come from start-generation, or from the page Generate.")
    pages(page)


def load_page(chosen: Filters) -> tuple[Page, Count | None]:
    if digits := st.session_state["job"]:
        try:
            rows = by_id(fetch, digits)
        except ValueError as mistake:
            st.error(str(mistake))
            st.stop()
        return Page(rows, None, None, None), Count(len(rows), "exactly")
    if after := Cursor.read(st.query_params.get("after")):
        page = page_after(fetch, chosen, after)
    elif before := Cursor.read(st.query_params.get("before")):
        page = page_before(fetch, chosen, before)
    else:
        page = first_page(fetch, chosen)
    return page, count(fetch, chosen, page)


def heading(page: Page, number: Count | None) -> None:
    shown = f", {len(page.rows)} shown" if page.before or page.after else ""
    if number is None:
        st.header(f"{plural(len(page.rows))} on this page")
    elif number.kind == "exactly":
        st.header(f"{plural(number.number)}{shown}")
    else:
        st.header(
            f"{number.kind.capitalize()} {plural(number.number)}{shown}",
            help="Not counted but taken from the rollup, which counts purged jobs too; of a user"
            " the generations. At most 10,000 live ones are counted.",
        )


def table(rows: Sequence[JobRow]) -> None:
    selected = selectable(
        pd.DataFrame([cells(row) for row in rows]),
        [row["id"] for row in rows],
        name="jobs",
        alt="Jobs",
        placeholder="",
        height=560,
        columns={
            "status": st.column_config.TextColumn("Status", width=100),
            "link": job_column(help="Opens in a new tab.", width=90),
            "when": time_column("Ended, started or due", seconds=True),
            "model_id": "Model",
            "prompt": st.column_config.TextColumn("Prompt", width="medium"),
            "error_message": st.column_config.TextColumn("Error", width="medium"),
            "tries": "Attempt",
            "run": "Ran for",
            "job_type": "Type",
            "created_by": "User",
            "created_at": time_column("Created", seconds=True),
            "priority": "Priority",
        },
    )
    actions([row for row in rows if row["id"] in selected])


def cells(row: JobRow) -> dict[str, Any]:
    started, ended = row["started_at"], row["completed_at"]
    return {
        **row,
        "link": job_links([row["id"]])[0],
        "created_by": row["created_by"] and str(row["created_by"]),
        "when": ended or (row["scheduled_at"] if row["status"] == "pending" else started),
        "tries": f"{row['attempts']} of {row['max_attempts']}",
        "run": duration((ended - started).total_seconds()) if started and ended else None,
        "id": str(row["id"]),
    }


def actions(selected: Sequence[JobRow]) -> None:
    retried = [row["id"] for row in selected if row["status"] in ("failed", "cancelled")]
    cancelled = [row["id"] for row in selected if row["status"] in LIVE]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Open", disabled=len(selected) != 1, icon=":material/open_in_full:"):
            st.switch_page("pages/job.py", query_params={"id": str(selected[0]["id"])})
        if st.button(f"Retry {len(retried) or 'selected'}", "retry", disabled=not retried):
            ask(job_dialogs.retry(retried))
        if st.button(f"Cancel {len(cancelled) or 'selected'}", "cancel", disabled=not cancelled):
            ask(job_dialogs.cancel(cancelled))
        st.caption("Select jobs to retry, cancel or open them; without Live the list stands still.")


def pages(page: Page) -> None:
    if page.searched:
        at = format_time(page.searched.at, seconds=True)
        st.info(
            f"Searched as far as {at}, which is enough for one page. Search on for more, or choose"
            " a time: only the jobs of that time are then looked at."
        )
    with st.container(horizontal=True):
        st.button(
            "First page", disabled=not page.before, on_click=go_to, icon=":material/first_page:"
        )
        page_button("Previous", "before", page.before, ":material/chevron_left:")
        page_button(
            "Search on" if page.searched else "Next",
            "after",
            page.after,
            ":material/search:" if page.searched else ":material/chevron_right:",
        )


def page_button(label: str, name: str, cursor: Cursor | None, icon: str) -> None:
    place = {name: str(cursor)}
    st.button(label, name, icon=icon, disabled=cursor is None, on_click=go_to, kwargs=place)


def export(chosen: Filters) -> None:
    digits = st.session_state["job"]
    number = st.session_state.get("jobs counted")
    once = partial(read_once, "jobs")
    csv_export(
        "jobs",
        EXPORT_COLUMNS,
        number.number if number else 0,
        lambda: [by_id(once, digits)] if digits else all_pages(once, chosen),
    )


confirmations()
with rerun_when_reachable():
    drop_filters_of_last_visit()
    chosen = filters()
    reset_position_on_filter_change(chosen)
    live(partial(panel, chosen), seconds=REFRESH_SECONDS)
    export(chosen)
