"""Operator actions: confirmed in a dialog, then run, then reported."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from lib.database import DatabaseError, DatabaseUnavailable, QueryError
from lib.roles import AccessDenied, Role
from lib.ui.access import require
from lib.ui.dashboard import clear_cached_answers, current_user, database_errors_shown

REPORT_SECONDS = 10.0
"""How long a report survives reruns of the page, such as after a short database outage."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action to confirm.

    `effect` says what it does and to how many jobs, `button` is a verb. Both may contain Markdown,
    so escape any job data in them. `run` performs the action and returns the report; anything it
    draws, such as a progress bar, appears in the dialog.
    """

    title: str
    effect: str
    button: str
    run: Callable[[], str]
    decline: str = "Cancel"
    """Label of the other button. "Cancel" would be ambiguous for an action that cancels jobs."""
    needs: Role = Role.OPERATOR
    """The role required. Configuration changes need an admin."""
    statement: str = ""
    """Equivalent SQL for psql, shown in the dialog."""


def ask(action: Action) -> NoReturn:
    """Open the confirmation dialog, or show a refusal if the viewer's role is too low.

    Reruns the page first: the next refresh of a live panel would close a dialog that it opened.
    """
    try:
        require(action.needs)
        st.session_state["asked"] = action
    except AccessDenied as refusal:
        st.session_state["refused"] = str(refusal)
    st.rerun()


def confirmations() -> None:
    """Show the last action's report and any open confirmation dialog.

    Every page with actions calls this once, outside its live panel.
    """
    # In a container, so that messages that come and go do not shift the elements below: the
    # browser would recreate those, including a field that is being edited.
    with st.container():
        _show_report()
        if refusal := st.session_state.pop("refused", None):
            st.warning(refusal, icon=":material/block:")
    if action := st.session_state.get("asked"):
        st.dialog(action.title, on_dismiss=_clear_pending_action)(_confirm)(action)


def report(done: str) -> None:
    """Show what an action did after the next rerun."""
    st.session_state["report"] = done
    st.session_state.pop("report_shown", None)


def _show_report() -> None:
    if "report" not in st.session_state:
        return
    first_shown = st.session_state.setdefault("report_shown", time.monotonic())
    if time.monotonic() - first_shown < REPORT_SECONDS:
        st.success(st.session_state["report"], icon=":material/check_circle:")
    else:
        del st.session_state["report"]


def _confirm(action: Action) -> None:
    st.write(action.effect)
    st.text(f"Logged as {current_user()}")
    if action.statement:
        st.code(action.statement, language="sql", wrap_lines=True)
    with st.container(horizontal=True):
        confirmed = st.button(action.button, type="primary")
        declined = st.button(action.decline)
    if confirmed:
        with database_errors_shown():
            try:
                require(action.needs)
                report(action.run())
            except AccessDenied as refusal:
                st.error(str(refusal))
                st.stop()
            except DatabaseUnavailable:
                raise
            except QueryError as refusal:
                st.error("Nothing was changed:")
                st.text(refusal.message)
                st.stop()
            except DatabaseError as error:
                # For example a migration that failed after others were applied.
                st.error("It was not done, or not all of it:")
                st.text(str(error))
                st.stop()
            clear_cached_answers()
            _clear_pending_action()
            st.rerun()
    if declined:
        _clear_pending_action()
        st.rerun()


def _clear_pending_action() -> None:
    del st.session_state["asked"]
