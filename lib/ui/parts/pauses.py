"""Pauses by job type: which there are, and how to set and lift them."""

import streamlit as st

from lib.formats import escaped
from lib.ops.action_texts import pausable, pause_effect, paused, resume_effect, resumed
from lib.ops.conditions import type_name
from lib.queue.operator_actions import ALL_TYPES, pause_queue, resume_queue
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, format_time, pool, read

MAX_REASON = 200


def show_pauses() -> None:
    """Draw the current pauses, each with a button that lifts it; nothing if there are none."""
    pauses = read("workers", "pauses")
    if pauses:
        st.header("Pauses")
    for pause in pauses:
        stopped = pausable(pause["job_type"])
        name = "Queue" if stopped == "queue" else escaped(stopped)
        reason = f": {escaped(pause['reason'])}" if pause["reason"] else ""
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{name}** paused {format_time(pause['paused_at'])} by"
                f" {escaped(pause['paused_by'])}{reason}",
                width="stretch",
            )
            if st.button(
                escaped(f"Resume {stopped}"),
                key=f"resume {pause['job_type']}",
                icon=":material/play_arrow:",
            ):
                ask(resume_action(pause["job_type"]))


def pause_form() -> None:
    """Draw the form that pauses a job type."""
    types = [row["job_type"] for row in read("workers", "types")]
    with (
        st.popover("Pause job type", icon=":material/pause:", key="pause open", on_change="rerun"),
        st.form("pause", border=False, clear_on_submit=True),
    ):
        job_type = st.selectbox("Job type", [*types, ALL_TYPES], format_func=type_name)
        reason = st.text_input("Reason", max_chars=MAX_REASON)
        if (
            st.form_submit_button("Pause job type", type="primary", on_click=_close_form)
            and job_type
        ):
            ask(pause_action(job_type, reason))


def _close_form() -> None:
    # The dialog that confirms would open below the popover.
    st.session_state["pause open"] = False


def pause_action(job_type: str, reason: str) -> Action:
    """Pause the claiming of a job type."""

    def run() -> str:
        pause_queue(pool(), actor(), job_type, reason)
        return escaped(paused(job_type))

    label = escaped(f"Pause {pausable(job_type)}")
    return Action(label, escaped(pause_effect(job_type)), label, run)


def resume_action(job_type: str) -> Action:
    """Lift the pause of a job type."""

    def run() -> str:
        return escaped(resumed(job_type, resume_queue(pool(), actor(), job_type)))

    label = escaped(f"Resume {pausable(job_type)}")
    return Action(label, escaped(resume_effect(job_type)), label, run)
