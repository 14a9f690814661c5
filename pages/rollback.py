"""How do I roll back to the synchronous path, and return to the queue?"""

from collections.abc import Sequence
from uuid import UUID

import streamlit as st

from lib.formats import escaped, plural
from lib.ops.rollback import RESUME_STEPS, ROLLBACK_STEPS, State, Step, end, record_notice, start
from lib.ui.columns import count_column, time_column
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, format_time, pool, read, read_once
from lib.ui.export import NEWEST, batches, csv_export
from lib.ui.live import live, rerun_when_reachable

DIRECTIONS = {"Roll back": ROLLBACK_STEPS, "Resume": RESUME_STEPS}
BADGES = {
    "done": ":green-badge[Done]",
    "open": ":orange-badge[To do]",
    "unneeded": ":gray-badge[Not needed]",
}
FAILED_COLUMNS = [
    "id", "job_type", "payload", "error_message", "error_details", "attempts", "max_attempts",
    "created_by", "created_at", "started_at", "completed_at",
]  # fmt: skip
HEALTH_COLUMNS = [
    "job_type", "status", "count", "oldest_job", "newest_job", "avg_duration_seconds",
    "avg_attempts",
]  # fmt: skip
FAILED_ESTIMATE = 5000

st.caption(
    "Moves users back to the synchronous path step by step, and later to the queue again. No step"
    " deletes anything. Each step can be repeated or skipped, and shows its effect before it runs."
)


def panel() -> None:
    state = read("rollback", "state")
    if state["id"] is None:
        st.info("No rollback in progress. Start one to run the steps below.")
        steps(ROLLBACK_STEPS, state)
        return
    st.warning(
        f"Rollback in progress since {format_time(state['started_at'])}, started by"
        f" {escaped(state['started_by'])}: {escaped(state['reason'])}",
        icon=":material/undo:",
    )
    direction = st.segmented_control(
        "Direction",
        list(DIRECTIONS),
        default="Roll back",
        required=True,
        key="way",
        bind="query-params",
        label_visibility="collapsed",
    )
    steps(DIRECTIONS[direction], state)
    notes_card(state, len(DIRECTIONS[direction]) + 1)
    if direction == "Resume":
        end_card(state)


def steps(chosen: Sequence[Step], state: State) -> None:
    """Draw the steps, with buttons if a rollback is open."""
    stands = {step.name: step.status(state) for step in chosen}
    first = next((name for name, stand in stands.items() if stand == "open"), None)
    for number, step in enumerate(chosen, 1):
        stand, kind = stands[step.name], "primary" if step.name == first else "secondary"
        with st.container(border=True, gap="xsmall"):
            badge = f"{BADGES[stand]} " if state["id"] else ""
            st.markdown(f"{badge}**{number}. {step.title}**")
            st.text(step.situation(state))
            if stand == "open":
                st.caption(step.effect(state))
                if state["id"] and st.button(step.button, key=step.name, type=kind):
                    ask(step_action(step, read_once("rollback", "state")))


def step_action(step: Step, state: State) -> Action:
    def run() -> str:
        return step.run(pool(), actor(), state, st.progress(0.0, "In progress").progress)

    return Action(
        title=step.button,
        effect=step.effect(state),
        button=step.button,
        run=run,
        decline=step.decline,
        needs=step.needs,
    )


def notes_card(state: State, number: int) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"{BADGES['done' if state['told'] else 'open']} **{number}. Notify people**")
        st.text(
            "Darkroom sends nothing. Notify people yourself, then record it below."
            f" {plural(state['told'], 'notice')} recorded."
        )


def end_card(state: State) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{len(RESUME_STEPS) + 2}. End rollback**")
        st.text(f"Ends the rollback and keeps its record. {remaining_text(state)}")
        if st.button("End rollback", key="end"):
            ask(end_action(state["id"], read_once("rollback", "state")))


def remaining_text(state: State) -> str:
    left = [step.title for step in RESUME_STEPS if step.status(state) == "open"]
    return f"Still to do: {', '.join(left)}." if left else "Everything is restored."


def end_action(rollback: UUID, state: State) -> Action:
    return Action(
        title="End rollback",
        effect=f"Ends the rollback and changes nothing else. {remaining_text(state)}",
        button="End rollback",
        run=lambda: end_rollback(rollback),
    )


def end_rollback(rollback: UUID) -> str:
    end(pool(), actor(), rollback)
    return "Rollback ended."


def start_form() -> None:
    with st.form("start", border=False):
        reason = st.text_input(
            "Reason", max_chars=500, placeholder="What is wrong, in one sentence", width=560
        )
        if st.form_submit_button("Start rollback", type="primary"):
            if reason.strip():
                ask(start_action(reason.strip()))
            st.error("Enter a reason.")


def start_action(reason: str) -> Action:
    def run() -> str:
        start(pool(), actor(), reason)
        return "Rollback started. Continue with the steps below."

    return Action(
        title="Start rollback",
        effect="Starts a rollback and records what to restore later. Nothing is stopped yet."
        f" Reason: {escaped(reason.rstrip('.'))}.",
        button="Start rollback",
        run=run,
    )


def evidence() -> None:
    st.header("Evidence")
    st.caption(
        "All failed jobs, and the number of jobs by status. Cancelling jobs changes these"
        " numbers, so export them first."
    )
    left, right = st.columns(2)
    with left:
        st.text("Failed jobs")
        csv_export(
            "failed jobs",
            FAILED_COLUMNS,
            FAILED_ESTIMATE,
            lambda: batches("rollback", "failed", NEWEST, ["completed_at", "id"]),
        )
    with right:
        st.text("Queue health")
        csv_export("queue health", HEALTH_COLUMNS, 20, lambda: [read_once("rollback", "health")])


def note_form(state: State) -> None:
    st.header("Notices")
    with st.form("tell", border=False, clear_on_submit=True):
        who = st.text_input(
            "Who was notified", max_chars=200, placeholder="Support, on-call team, users"
        )
        message = st.text_area("Message you sent", max_chars=2000, height=80)
        if st.form_submit_button("Record notice"):
            if who.strip():
                ask(note_action(state["id"], who.strip(), message.strip()))
            st.error("Enter who was notified.")


def note_action(rollback: UUID, who: str, message: str) -> Action:
    def run() -> str:
        record_notice(pool(), actor(), rollback, who, message)
        return "Notice recorded."

    return Action(
        title="Record notice",
        effect=f"Records that you notified {escaped(who)}. Sends nothing.",
        button="Record notice",
        run=run,
    )


def show_record(state: State) -> None:
    st.header("Actions since the start")
    st.dataframe(
        read("rollback", "done", since=state["started_at"]),
        hide_index=True,
        placeholder="–",
        alt="Actions since the start of the rollback",
        column_config={
            "at": time_column("Time", seconds=True, width=130),
            "actor": st.column_config.TextColumn("User", width=150),
            "action": st.column_config.TextColumn("Action", width=190),
            "affected": count_column("Count", width=65),
            "who": st.column_config.TextColumn("Notified", width=170),
            "message": st.column_config.TextColumn("Message", width=250),
        },
    )


def earlier_rollbacks() -> None:
    rows = read("rollback", "ended")
    if not rows:
        return
    st.header("Earlier rollbacks")
    st.dataframe(
        rows,
        hide_index=True,
        alt="Earlier rollbacks",
        column_config={
            "started_at": time_column("Started", year=True, width=140),
            "started_by": st.column_config.TextColumn("Started by", width=150),
            "reason": st.column_config.TextColumn("Reason", width=370),
            "ended_at": time_column("Ended", year=True, width=140),
            "ended_by": st.column_config.TextColumn("Ended by", width=150),
        },
    )


confirmations()
with rerun_when_reachable():
    now = read_once("rollback", "state")
    if now["id"] is None:
        start_form()
    live(panel)
    evidence()
    if now["id"] is not None:
        note_form(now)
        show_record(now)
    earlier_rollbacks()
