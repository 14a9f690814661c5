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
HEALTH_COLUMNS = ["job_type", "status", "count", "avg_duration_seconds", "oldest", "newest"]
FAILED_ESTIMATE = 5000

st.caption(
    "Back to the time before the queue, step by step, and forth again. No step deletes anything;"
    " each says what it will do before it does it, may be repeated, and may be left out."
)


def panel() -> None:
    state = read("rollback", "state")
    if state["id"] is None:
        st.info("No rollback is open. Below is what each step would find now.")
        steps(ROLLBACK_STEPS, state)
        return
    st.warning(
        f"A rollback is open since {format_time(state['started_at'])}, started by"
        f" {escaped(state['started_by'])}: {escaped(state['reason'])}",
        icon=":material/undo:",
    )
    direction = st.segmented_control(
        "Way",
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
            st.markdown(f"{BADGES[stand]} **{number}. {step.title}**")
            st.text(step.situation(state))
            if stand == "open":
                st.caption(step.effect(state))
                if state["id"] and st.button(step.button, key=step.name, type=kind):
                    ask(step_action(step, read_once("rollback", "state")))


def step_action(step: Step, state: State) -> Action:
    def run() -> str:
        return step.run(pool(), actor(), state, st.progress(0.0, "At work").progress)

    return Action(
        title=step.title,
        effect=step.effect(state),
        button=step.button,
        run=run,
        decline=step.decline,
        needs=step.needs,
    )


def notes_card(state: State, number: int) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"{BADGES['done' if state['told'] else 'open']} **{number}. Tell people**")
        st.text(f"{plural(state['told'], 'note')} of who was told. The form below takes them.")


def end_card(state: State) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{len(RESUME_STEPS) + 2}. End the rollback**")
        st.text(f"Closes it and keeps the record. {remaining_text(state)}")
        if st.button("End the rollback", key="end"):
            ask(end_action(state["id"], read_once("rollback", "state")))


def remaining_text(state: State) -> str:
    left = [step.title for step in RESUME_STEPS if step.status(state) == "open"]
    return f"Still to do: {', '.join(left)}." if left else "Everything is put back."


def end_action(rollback: UUID, state: State) -> Action:
    return Action(
        title="End the rollback",
        effect=f"Closes the rollback; it changes nothing else. {remaining_text(state)}",
        button="End it",
        run=lambda: end_rollback(rollback),
    )


def end_rollback(rollback: UUID) -> str:
    end(pool(), actor(), rollback)
    return "The rollback has ended."


def start_form() -> None:
    with st.form("start", border=False):
        reason = st.text_input(
            "Why?", max_chars=500, placeholder="What is wrong, in a sentence", width=560
        )
        if st.form_submit_button("Start a rollback", type="primary"):
            if reason.strip():
                ask(start_action(reason.strip()))
            st.error("Say why: the record needs a reason.")


def start_action(reason: str) -> Action:
    def run() -> str:
        start(pool(), actor(), reason)
        return "The rollback is open: now take its steps."

    return Action(
        title="Start a rollback",
        effect="Opens a rollback, which keeps what it has to put back. Nothing is stopped yet. The"
        f" reason: {escaped(reason)}.",
        button="Start it",
        run=run,
    )


def evidence() -> None:
    st.header("Keep the evidence")
    st.caption(
        "All jobs that failed, however long ago, and how many there are in each state. Cancelling"
        " changes the second: take it before, if it is to show what was."
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
    st.header("Who was told?")
    with st.form("tell", border=False, clear_on_submit=True):
        who = st.text_input("Who", max_chars=200, placeholder="Support, the team on call, users")
        message = st.text_area("What they were told", max_chars=2000, height=80)
        if st.form_submit_button("Record"):
            if who.strip():
                ask(note_action(state["id"], who.strip(), message.strip()))
            st.error("Say who was told.")


def note_action(rollback: UUID, who: str, message: str) -> Action:
    def run() -> str:
        record_notice(pool(), actor(), rollback, who, message)
        return "Recorded."

    return Action(
        title="Record who was told",
        effect=f"Writes down that these were told: {escaped(who)}.",
        button="Record",
        run=run,
    )


def show_record(state: State) -> None:
    st.header("What was done since it began")
    st.dataframe(
        read("rollback", "done", since=state["started_at"]),
        hide_index=True,
        placeholder="–",
        alt="What was done since the rollback began",
        column_config={
            "at": time_column("At", seconds=True),
            "actor": "By",
            "action": "What",
            "affected": count_column("How many"),
            "who": "Who was told",
            "message": st.column_config.TextColumn("What they were told", width="large"),
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
            "started_at": time_column("Started", year=True),
            "started_by": "By",
            "reason": st.column_config.TextColumn("Why", width="large"),
            "ended_at": time_column("Ended", year=True),
            "ended_by": "Ended by",
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
