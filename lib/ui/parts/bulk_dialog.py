"""The dialog of an action on many jobs: confirmed, done in batches with progress, stoppable."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import NoReturn
from uuid import UUID

import streamlit as st

from lib.database import DatabaseError, DatabaseUnavailable, StatementFailed
from lib.formats import plural
from lib.ops.action_texts import outcome
from lib.queue.operator_actions import BatchAction, Batches, set_priority
from lib.roles import AccessDenied, Role
from lib.ui.access import require
from lib.ui.confirm import report
from lib.ui.dashboard import actor, clear_cached_answers, current_user, pool

STEP_SECONDS = 0.5
"""How long the dialog works before it looks whether Stop was pressed."""
_BULK, _BATCHES = "bulk action", "bulk batches"


@dataclass(frozen=True, slots=True)
class BulkAction:
    """An action on the jobs of these ids, chosen when the dialog opens."""

    button: str
    effect: str
    job_ids: Sequence[UUID]
    act: BatchAction | None
    """None: set_priority, with the priority that the dialog asks for."""
    done: str
    """What happened to the jobs, for `outcome`."""
    decline: str = "Cancel"


def ask_bulk(action: BulkAction) -> NoReturn:
    """Open the dialog, or report that the viewer's role is too low.

    Reruns the page first: the next refresh of a live panel would close a dialog that it opened.
    """
    st.session_state.pop(_BATCHES, None)
    try:
        require(Role.OPERATOR)
        st.session_state[_BULK] = action
    except AccessDenied as refusal:
        report(str(refusal))
    st.rerun()


def close_bulk_dialog() -> None:
    """Forget the action; a page calls it when it is opened."""
    st.session_state.pop(_BULK, None)
    st.session_state.pop(_BATCHES, None)


def bulk_dialog() -> None:
    """Show the open dialog, if any. A page calls it once, outside its live panel."""
    action: BulkAction | None = st.session_state.get(_BULK)
    if action:
        st.dialog(action.button, on_dismiss=close_bulk_dialog)(_draw)(action)


def _draw(action: BulkAction) -> None:
    batches: Batches | None = st.session_state.get(_BATCHES)
    question = st.empty()
    if batches is None:
        with question.container():
            confirmed = _confirm(action)
        if confirmed:
            # Otherwise it would stay until all is done, pale.
            question.empty()
            st.rerun(scope="fragment")
        return
    st.progress(batches.done / batches.total, f"{batches.done:,} of {plural(batches.total)}")
    if st.button("Stop"):
        _finish(action, batches)
    try:
        until = monotonic() + STEP_SECONDS
        while not batches.finished and monotonic() < until:
            batches.next(pool(), actor())
    except (DatabaseError, AccessDenied) as error:
        _explain(error)
        st.button("Continue", type="primary")
        return
    if batches.finished:
        _finish(action, batches)
    st.rerun(scope="fragment")


def _confirm(action: BulkAction) -> bool:
    st.write(action.effect)
    act = action.act
    if act is None:
        priority = st.number_input("Priority", -(2**31), 2**31 - 1, 0, width=200)
        act = partial(set_priority, priority=int(priority))
    st.text(f"Logged as {current_user()}")
    with st.container(horizontal=True):
        confirmed = st.button(action.button, key="confirm", type="primary")
        declined = st.button(action.decline, key="decline")
    if confirmed:
        st.session_state[_BATCHES] = Batches(act, action.job_ids)
    if declined:
        close_bulk_dialog()
        st.rerun()
    return confirmed


def _explain(error: DatabaseError | AccessDenied) -> None:
    match error:
        case AccessDenied():
            st.error(str(error))
        case DatabaseUnavailable():
            st.error("The database did not respond in time. Changes made so far are kept.")
        case StatementFailed() | DatabaseError():
            st.error("The database rejected the change. Changes made so far are kept.")
            st.text(str(error))


def _finish(action: BulkAction, batches: Batches) -> NoReturn:
    text = outcome(action.done, batches.changed, batches.done)
    if batches.refused:
        text += f" The database rejected the change to {plural(batches.refused)}."
    if not batches.finished:
        text += f" Stopped: {plural(batches.total - batches.done)} left."
    report(text)
    clear_cached_answers()
    close_bulk_dialog()
    st.rerun()
