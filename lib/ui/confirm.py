"""Operators' actions: said before they are done, asked once, reported afterwards."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from lib.database import DatabaseError, DatabaseUnavailable, QueryError
from lib.roles import AccessDenied, Role
from lib.ui.access import require
from lib.ui.dashboard import read_anew, say_when_away, who

REPORT_SECONDS = 10.0
"""How long redrawing the page keeps a report, such as when the database was away for a moment."""


@dataclass(frozen=True, slots=True)
class Action:
    """What an operator is asked to confirm.

    `effect` says what it will do and to how many jobs, `button` is its name as a verb; both may
    hold Markdown, so job data in them must be escaped. `run` does it and returns the report; what
    it draws meanwhile, such as a progress bar, stands in the dialog.
    """

    title: str
    effect: str
    button: str
    run: Callable[[], str]
    decline: str = "Cancel"
    """The other button; for an action that cancels jobs it needs another word."""
    needs: Role = Role.OPERATOR
    """Who may do it: admins alone what changes how the system is set up."""
    statement: str = ""
    """The SQL that does the same in psql, for those who want to see it first."""


def ask(action: Action) -> None:
    """Asks for confirmation, once the page is drawn anew; refuses who may not do it.

    Not at once: the next refresh of a live panel would close a dialog that it opened.
    """
    try:
        require(action.needs)
        st.session_state["asked"] = action
    except AccessDenied as refusal:
        st.session_state["refused"] = str(refusal)
    st.rerun()


def confirmations() -> None:
    """Shows what the last action did, and the dialog of the one that is asked for.

    A page with actions calls it once, outside its live panel.
    """
    # In a place of its own: what comes and goes here would else give all below it other places, and
    # the browser would build it anew, a field that is being used too.
    with st.container():
        _show_report()
        if refusal := st.session_state.pop("refused", None):
            st.warning(refusal, icon=":material/block:")
    if action := st.session_state.get("asked"):
        st.dialog(action.title, on_dismiss=_forget)(_confirm)(action)


def report(done: str) -> None:
    """Says what an action did, once the page is drawn anew."""
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
    st.write(f"{action.effect} The audit log records it as done by:")
    st.text(who())
    if action.statement:
        st.code(action.statement, language="sql", wrap_lines=True)
    with st.container(horizontal=True):
        confirmed = st.button(action.button, type="primary")
        declined = st.button(action.decline)
    if confirmed:
        with say_when_away():
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
                # Such as a migration that failed, after others that were applied.
                st.error("It was not done, or not all of it:")
                st.text(str(error))
                st.stop()
            read_anew()
            _forget()
            st.rerun()
    if declined:
        _forget()
        st.rerun()


def _forget() -> None:
    del st.session_state["asked"]
