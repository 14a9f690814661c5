"""The Overview's status strip: the worst problem, since when, and the next step as a button."""

from datetime import UTC, datetime
from functools import partial
from typing import Literal

import streamlit as st

from lib.checks.health import LEVEL_LABELS, Condition, Verdict
from lib.database import DatabaseUnavailable
from lib.formats import escaped, plural
from lib.ops.action_texts import pausable
from lib.ops.alerts.rules import RULES
from lib.ops.fault_injection import fault_file
from lib.queue.operator_actions import (
    ALL_TYPES,
    pause_queue,
    probe_provider,
    reset_stuck_jobs,
)
from lib.queue.queue_state import OpenBreaker, QueueState
from lib.settings import settings
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, format_time, format_time_of_day, pool, read
from lib.ui.navigation import link
from lib.ui.parts import job_dialogs
from lib.ui.parts.empty_queue import next_steps
from lib.ui.parts.pauses import resume_action
from lib.ui.parts.sample_data import has_sample_data, remove_button

PROVIDER_STATUS_URL = "https://www.replicatestatus.com"
MAX_REASONS = 200
"""Characters of the reasons of further conditions."""
ButtonType = Literal["primary", "secondary"]
EMPTY = "The queue is empty. No jobs have run yet."
SAMPLE = "Sample data: 30 days of simulated jobs."


def status_strip(now: QueueState, found: Verdict) -> None:
    """Draw the strip, with the first steps in an empty queue."""
    is_empty = read("overview", "is_empty")
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="xsmall"):
        if found.conditions:
            _show(found.conditions[0])
        else:
            reason = EMPTY if is_empty else found.reason
            label = LEVEL_LABELS["good"]
            st.success(f"**{label}.** {escaped(reason)}", icon=":material/check_circle:")
        worst, others = found.conditions[:1], found.conditions[1:]
        for condition in worst:
            _next_steps(condition.name, now)
        if "stuck" in (condition.name for condition in others):
            reset_button(now["stuck"], "secondary")
        is_cause = bool(worst) and worst[0].name == "paused"
        for pause in now["paused"]:
            _resume_button(pause["job_type"], "primary" if is_cause else "secondary")
        if others:
            link("alerts", plural(len(others), "more alert"), ":material/notifications:")
            reasons = " ".join(condition.reason for condition in others)
            st.caption(f"Also: {escaped(reasons[:MAX_REASONS])}")
        if worst:
            why_link()
        if is_empty:
            next_steps()


def _show(condition: Condition) -> None:
    # A reason may quote a provider.
    text = f"**{LEVEL_LABELS[condition.level]}{_since(condition.since)}.** "
    text += escaped(condition.reason)
    if condition.level == "critical":
        st.error(text, icon=":material/error:")
    else:
        st.warning(text, icon=":material/warning:")


def _since(at: datetime | None) -> str:
    if at is None:
        return ""
    is_recent = (datetime.now(UTC) - at).total_seconds() < 20 * 3600
    return f" since {format_time_of_day(at)[:5] if is_recent else format_time(at)}"


def _next_steps(cause: str, now: QueueState) -> None:
    """Draw the buttons and links for a condition."""
    match cause:
        case "provider_down":
            for down in now["down"]:
                _try_button(down)
            link("jobs", "Show pending jobs", view="pending")
            link("alerts", "Show alert")
            if settings().replicate_token:
                st.link_button(
                    "Provider status", PROVIDER_STATUS_URL, icon=":material/open_in_new:"
                )
            faults = fault_file(settings())
            if faults and faults.exists():
                link("fault_injection")
                st.caption(
                    "Injected faults are active. Clear them under Fault injection to end the"
                    " outage."
                )
            else:
                st.caption(RULES["provider_down"].todo)
        case "stuck":
            reset_button(now["stuck"], "primary")
            link("jobs", "Show stuck jobs", view="stuck")
        case "no_worker" | "unhandled_types" | "worker_gone" | "storage_failed":
            link("workers", "Show workers")
            link("jobs", "Show pending jobs", view="pending")
        case "many_failures":
            link("failures", "Show failures", time="1 h")
        case "waits_too_long" | "wait_p95" | "pending_jobs" | "no_completion":
            link("jobs", "Show pending jobs", view="pending")
            link("workers", "Show workers")
        case "paused":
            link("jobs", "Show pending jobs", view="pending")
        case _:
            link("alerts", "Show alert")


def sample_line() -> None:
    """Draw the line about sample data, if there is any."""
    if has_sample_data():
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.caption(SAMPLE, width="content")
            link("generate", "Generate an image", ":material/add_photo_alternate:")
            remove_button("tertiary")


def why_link() -> None:
    """Draw the link from a problem to its likely cause."""
    link("troubleshooting", "Find the cause", ":material/help:")


def reset_button(stuck: int, type: ButtonType) -> None:
    """Draw the button that resets all stuck jobs, whose number is `stuck`."""
    label = f"Reset {plural(stuck, 'stuck job')}"
    if st.button(label, key="reset stuck jobs", type=type, icon=":material/restart_alt:"):
        reset_all = partial(reset_stuck_jobs, job_ids=None)
        ask(job_dialogs.reset(job_dialogs.Matching(stuck, reset_all)))


def _try_button(down: OpenBreaker) -> None:
    if not down["retry_seconds"] or down["retry_seconds"] <= 0:
        return  # A job tries it already, or the next one will.
    name = escaped(down["provider"])
    if st.button(
        f"Test {name} now", key=f"try {down['provider']}", type="primary", icon=":material/refresh:"
    ):
        ask(_try_action(down["provider"]))


def _try_action(provider: str) -> Action:
    name = escaped(provider)

    def run() -> str:
        tried = probe_provider(pool(), actor(), provider)
        return f"The next job tests {name}." if tried else f"{name} is already being tested."

    return Action(
        title=f"Test {name} now",
        effect=f"The next job tests {name} right away. If it succeeds, the pending jobs follow; if"
        " it fails, they stay pending.",
        button=f"Test {name} now",
        run=run,
    )


def pause_button() -> None:
    """Draw the button that pauses the whole queue, unless it is paused."""
    try:
        now: QueueState = read("overview", "now")
    except DatabaseUnavailable:
        return  # The live panel says so.
    paused = st.session_state["queue paused"] = is_paused(now)
    if not paused and st.button("Pause queue", icon=":material/pause:"):
        ask(_pause_action(now["processing"] - now["stuck"]))


def is_paused(now: QueueState) -> bool:
    """Whether the whole queue is paused."""
    return ALL_TYPES in (pause["job_type"] for pause in now["paused"])


def _pause_action(running: int) -> Action:
    def run() -> str:
        pause_queue(pool(), actor())
        return "Queue paused."

    return Action(
        title="Pause queue",
        effect="Workers stop claiming jobs until you resume the queue; new jobs stay pending."
        f" Running jobs ({running:,}) are not affected.",
        button="Pause queue",
        run=run,
    )


def _resume_button(job_type: str, type: ButtonType) -> None:
    label = escaped(f"Resume {pausable(job_type)}")
    if st.button(label, key=f"resume {job_type}", type=type, icon=":material/play_arrow:"):
        ask(resume_action(job_type))
