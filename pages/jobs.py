"""Which jobs are there, what is their status, and what can I do with them?"""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.queue.job_counts import Count, counts
from lib.queue.job_filters import STATUSES, VIEWS, Filters
from lib.queue.job_list import (
    Cursor,
    JobRow,
    Page,
    all_pages,
    by_id,
    first_page,
    page_after,
    page_before,
)
from lib.roles import Role
from lib.ui.access import role
from lib.ui.confirm import confirmations
from lib.ui.dashboard import format_time, read, read_once
from lib.ui.export import csv_export
from lib.ui.live import live
from lib.ui.navigation import title_actions
from lib.ui.parts.bulk_dialog import bulk_dialog
from lib.ui.parts.duplicates import EXPORT_COLUMNS as REPEATED_COLUMNS
from lib.ui.parts.duplicates import duplicates, export_repeated
from lib.ui.parts.empty_queue import empty_queue
from lib.ui.parts.enqueue_job import enqueue_button
from lib.ui.parts.job_actions import actions
from lib.ui.parts.job_filter_row import TABS, VIEW, arrive, clear, filters, go_to, remember
from lib.ui.parts.job_table import job_table
from lib.ui.parts.stuck_jobs import EXPORT_COLUMNS as STUCK_COLUMNS
from lib.ui.parts.stuck_jobs import export_stuck, stuck_jobs

EXPORT_COLUMNS = [
    "id", "status", "job_type", "model_id", "created_by", "priority", "attempts", "max_attempts",
    "created_at", "scheduled_at", "started_at", "completed_at", "whole_error", "payload",
]  # fmt: skip
REFRESH_SECONDS = 5.0

fetch = partial(read, "jobs")


def panel() -> None:
    view = st.session_state[VIEW]
    tabs = st.container()
    if view == "duplicates":
        remember()
        show_tabs(tabs, counts(fetch, Filters()))
        duplicates()
    elif chosen := filters(view):
        reset_position_on_change(chosen)
        remember()
        found = count_jobs(chosen)
        show_tabs(tabs, found)
        st.session_state["jobs shown"] = chosen, found[view].number
        if view == "stuck":
            stuck_jobs(chosen)
        else:
            job_list(view, chosen, found)
    else:
        remember()
        show_tabs(tabs, {})


def show_tabs(place: DeltaGenerator, found: dict[str, Count]) -> None:
    place.segmented_control(
        "View",
        TABS,
        key=VIEW,
        required=True,
        format_func=lambda view: f"{view.capitalize()} {found.get(view, '')}".rstrip(),
        label_visibility="collapsed",
        wrap=True,
        persist_state="page",
    )


def reset_position_on_change(chosen: Filters) -> None:
    if st.session_state.setdefault("jobs filters", chosen) != chosen:
        go_to()
    st.session_state["jobs filters"] = chosen


def count_jobs(chosen: Filters) -> dict[str, Count]:
    if not chosen.id_prefix:
        return counts(fetch, chosen)
    return {
        view: Count(len(jobs_by_id(chosen.id_prefix, statuses))) for view, statuses in VIEWS.items()
    }


def jobs_by_id(prefix: str, statuses: Sequence[str]) -> list[JobRow]:
    return [row for row in by_id(fetch, prefix) if row["status"] in (statuses or STATUSES)]


def job_list(view: str, chosen: Filters, found: Mapping[str, Count]) -> None:
    page = load_page(chosen)
    if page.rows:
        buttons = st.container()
        selected = job_table(page.rows, view)
        with buttons:
            actions(view, chosen, found, selected)
    elif page.searched is None or found[view] == Count(0):
        no_jobs(view, chosen)
        return
    pages(page)


def load_page(chosen: Filters) -> Page:
    if chosen.id_prefix:
        return Page(jobs_by_id(chosen.id_prefix, chosen.statuses), None, None, None)
    if after := Cursor.read(st.query_params.get("after")):
        return page_after(fetch, chosen, after)
    if before := Cursor.read(st.query_params.get("before")):
        return page_before(fetch, chosen, before)
    return first_page(fetch, chosen)


def no_jobs(view: str, chosen: Filters) -> None:
    if chosen.narrowed:
        st.info("No jobs match these filters.", icon=":material/search_off:")
        st.button("Clear filters", on_click=clear)
    elif not empty_queue("This page lists every job with its status."):
        st.info(f"No {view} jobs.", icon=":material/inbox:")


def pages(page: Page) -> None:
    if not (page.before or page.after):
        return
    if page.searched:
        at = format_time(page.searched.at, seconds=True)
        st.info(f"Searched back to {at}. To search further, press *Search older*.")
    with st.container(horizontal=True):
        st.button("Newest", disabled=not page.before, on_click=go_to, icon=":material/first_page:")
        page_button("Newer", "before", page.before, ":material/chevron_left:")
        page_button(
            "Search older" if page.searched else "Older",
            "after",
            page.after,
            ":material/search:" if page.searched else ":material/chevron_right:",
        )


def page_button(label: str, name: str, cursor: Cursor | None, icon: str) -> None:
    place = {name: str(cursor)}
    st.button(label, name, icon=icon, disabled=cursor is None, on_click=go_to, kwargs=place)


def export() -> None:
    view = st.session_state[VIEW]
    if view == "duplicates":
        csv_export("duplicates", REPEATED_COLUMNS, 0, export_repeated)
        return
    if "jobs shown" not in st.session_state:
        return
    chosen, number = st.session_state["jobs shown"]
    if not number:
        return
    if view == "stuck":
        csv_export("stuck jobs", STUCK_COLUMNS, number, lambda: export_stuck(chosen))
        return
    once = partial(read_once, "jobs")
    csv_export(
        "jobs",
        EXPORT_COLUMNS,
        number,
        lambda: (
            [jobs_by_id(chosen.id_prefix, chosen.statuses)]
            if chosen.id_prefix
            else all_pages(once, chosen)
        ),
    )


confirmations()
bulk_dialog()
arrive()
with title_actions():
    if role() >= Role.OPERATOR:
        enqueue_button()
live(panel, seconds=REFRESH_SECONDS)
export()
