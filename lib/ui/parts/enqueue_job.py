"""The dialog that enqueues a job of any type."""

import json
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from lib.database import DatabaseUnavailable, QueryError, StatementFailed
from lib.queue.operator_actions import enqueue_job
from lib.roles import AccessDenied
from lib.ui.confirm import UNREACHABLE, report
from lib.ui.dashboard import actor, clear_cached_answers, current_user, pool, read, time_zone

EXAMPLE = '{\n  "prompt": "A lighthouse at dusk"\n}'

OPEN = "enqueue dialog"


def enqueue_button() -> None:
    """Draw the button and, until it is closed, the dialog.

    Draw it outside a live panel, whose refresh would close the dialog.
    """
    # A callback: a run may end before it comes here, as when the page restores its filters.
    st.button("Enqueue job", type="primary", icon=":material/add:", on_click=_open)
    if OPEN in st.session_state:
        st.dialog("Enqueue job", on_dismiss=_close)(_draw)()


def _open() -> None:
    st.session_state[OPEN] = True


def _close() -> None:
    st.session_state.pop(OPEN, None)


def _draw() -> None:
    try:
        types = read("jobs", "kinds")["job_types"]
    except DatabaseUnavailable:
        st.error(UNREACHABLE)
        return
    with st.form("enqueue", border=False):
        job_type = st.selectbox(
            "Type", types, index=None, accept_new_options=True, placeholder="Choose or type one"
        )
        text = st.text_area("Payload (JSON object)", EXAMPLE, height=180)
        with st.container(horizontal=True):
            priority = st.number_input(
                "Priority", -(2**31), 2**31 - 1, 0, help="Higher priorities run first.", width=140
            )
            start = st.datetime_input(
                "Start at", None, help="Leave empty to start it as soon as possible.", width=240
            )
        st.text(f"Logged as {current_user()}")
        with st.container(horizontal=True):
            submitted = st.form_submit_button("Enqueue job", type="primary")
            declined = st.form_submit_button("Cancel")
    if declined:
        _close()
        st.rerun()
    if not submitted:
        return
    payload, fault = _parsed(text)
    if not job_type or fault:
        st.error(fault or "Choose a type.")
        return
    scheduled_at = start.replace(tzinfo=time_zone()).astimezone(UTC) if start else None
    _enqueue(str(job_type), payload, int(priority), scheduled_at)


def _parsed(text: str) -> tuple[dict[str, Any], str]:
    """The payload and what is wrong with it."""
    try:
        payload = json.loads(text)
    except json.JSONDecodeError as error:
        return {}, f"Not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
    if not isinstance(payload, dict):
        return {}, "The payload must be a JSON object, such as {}."
    return payload, ""


def _enqueue(
    job_type: str, payload: dict[str, Any], priority: int, scheduled_at: datetime | None
) -> None:
    try:
        id = enqueue_job(
            pool(), actor(), job_type, payload, priority=priority, scheduled_at=scheduled_at
        )
    except AccessDenied as refusal:
        st.error(str(refusal))
    except DatabaseUnavailable:
        st.error(UNREACHABLE)
    except (QueryError, StatementFailed) as refusal:
        st.error("The job was not enqueued:")
        st.text(str(refusal))
    else:
        report(f"[Job {str(id)[:8]}](/job?id={id}) enqueued.")
        clear_cached_answers()
        _close()
        st.rerun()
