"""The buttons of the page Jobs: actions on selected jobs, or on all that match."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

import streamlit as st

from lib.database import DatabaseUnavailable
from lib.formats import plural
from lib.ops.action_texts import (
    BACK,
    CANCELLED,
    REPRIORITIZED,
    cancel_effect,
    keep_label,
    priority_effect,
    retry_effect,
)
from lib.queue.job_counts import Count
from lib.queue.job_filters import ENDED, LIVE, VIEWS, Filters
from lib.queue.job_list import JobRow, matching
from lib.queue.operator_actions import cancel_jobs, retry_jobs
from lib.ui.confirm import report
from lib.ui.dashboard import read_once
from lib.ui.parts.bulk_dialog import BulkAction, ask_bulk

MAX_JOBS = 100_000
"""Maximum number of jobs that one action changes."""
BulkDialog = Callable[[Sequence[UUID]], BulkAction]


def retry(ids: Sequence[UUID]) -> BulkAction:
    """Retry failed or cancelled jobs."""
    count = len(ids)
    return BulkAction(f"Retry {plural(count)}", retry_effect(count), ids, retry_jobs, BACK)


def cancel_pending(ids: Sequence[UUID]) -> BulkAction:
    """Cancel jobs unless they have started meanwhile."""
    button, effect = f"Cancel {plural(len(ids))}", cancel_effect(len(ids), "pending")
    return BulkAction(
        button, effect, ids, partial(cancel_jobs, running=False), CANCELLED, keep_label(len(ids))
    )


def cancel_running(ids: Sequence[UUID]) -> BulkAction:
    """Cancel running jobs."""
    button, effect = f"Cancel {plural(len(ids))}", cancel_effect(len(ids), "running")
    return BulkAction(button, effect, ids, cancel_jobs, CANCELLED, keep_label(len(ids)))


def cancel_live(ids: Sequence[UUID]) -> BulkAction:
    """Cancel pending and running jobs."""
    button, effect = f"Cancel {plural(len(ids))}", cancel_effect(len(ids))
    return BulkAction(button, effect, ids, cancel_jobs, CANCELLED, keep_label(len(ids)))


def reprioritize(ids: Sequence[UUID]) -> BulkAction:
    """Change the priority of pending jobs."""
    button, effect = f"Change priority of {plural(len(ids))}", priority_effect(len(ids))
    return BulkAction(button, effect, ids, None, REPRIORITIZED)


ON_ALL: dict[str, dict[str, BulkDialog]] = {
    "pending": {"Cancel": cancel_pending, "Change priority of": reprioritize},
    "running": {"Cancel": cancel_running},
    "failed": {"Retry": retry},
    "cancelled": {"Retry": retry},
}
"""Actions on all jobs of a view."""


def actions(
    view: str, filters: Filters, counts: Mapping[str, Count], selected: Sequence[JobRow]
) -> None:
    """Draw the buttons: for the selected jobs, or else for all that match the filters."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if selected:
            _on_selected(selected)
            return
        # Without any filter, "all" would be the whole queue.
        views = ("pending", "failed") if view == "all" and filters.narrowed else (view,)
        if not filters.id_prefix:
            for each in views:
                _on_all(each, filters, counts[each], "matching" if each == view else each)
        st.caption("Select rows to act on those jobs only. Click a row to open its job.")


def _on_all(view: str, filters: Filters, count: Count, which: str) -> None:
    if not count.number:
        return
    word = f" {which}" if filters.narrowed else ""
    for verb, action in ON_ALL.get(view, {}).items():
        if st.button(f"{verb} all {count}{word}", key=f"{verb} all {view}"):
            _ask_for_all(replace(filters, statuses=VIEWS[view]), action)


def _on_selected(selected: Sequence[JobRow]) -> None:
    st.caption(f"{len(selected)} selected:", width="content")
    ended = [row["id"] for row in selected if row["status"] in ENDED[1:]]
    live = [row["id"] for row in selected if row["status"] in LIVE]
    pending = [row["id"] for row in selected if row["status"] == "pending"]
    cancel = cancel_pending if len(pending) == len(live) else cancel_live
    for verb, ids, action in (
        ("Retry", ended, retry),
        ("Cancel", live, cancel),
        ("Change priority of", pending, reprioritize),
    ):
        if ids and st.button(f"{verb} {len(ids)}", key=f"{verb} selected"):
            ask_bulk(action(ids))


def _ask_for_all(filters: Filters, action: BulkDialog) -> None:
    try:
        with st.spinner("Finding matching jobs"):
            ids, complete = matching(partial(read_once, "jobs"), filters, MAX_JOBS)
    except DatabaseUnavailable:
        report("The database did not respond in time. No jobs were changed. Try again.")
        st.rerun()
    if not ids:
        report("No jobs match any more.")
        st.rerun()
    dialog = action(ids)
    if not complete:
        note = (
            f"These are only the first {len(ids):,} matching jobs. Repeat the action for the rest."
        )
        dialog = replace(dialog, effect=f"{dialog.effect} {note}")
    ask_bulk(dialog)
