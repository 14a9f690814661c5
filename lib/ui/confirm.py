"""Operator actions: confirmed in a dialog, then run, then reported."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NoReturn

import streamlit as st

from lib.database import DatabaseError, DatabaseUnavailable, QueryError
from lib.roles import AccessDenied, Role
from lib.ui.access import require
from lib.ui.dashboard import (
    REFRESH_SECONDS,
    clear_cached_answers,
    current_user,
    database_errors_shown,
)

TOAST_SECONDS = 5
REDRAW_SECONDS = 5.0
"""After this time, a report that has not reached the browser is drawn again."""
UNREACHABLE = (
    "The database did not respond in time. The action may or may not have taken effect: check"
    " before you repeat it."
)


@dataclass(slots=True)
class _Report:
    text: str
    icon: str
    drawn_at: float | None = None


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
    """Open the confirmation dialog, or report a refusal if the viewer's role is too low.

    Reruns the page first: the next refresh of a live panel would close a dialog that it opened.
    """
    try:
        require(action.needs)
        st.session_state["action to confirm"] = action
        st.session_state.pop("unreachable", None)
    except AccessDenied as refusal:
        report(str(refusal), icon=":material/block:")
    st.rerun()


def confirmations() -> None:
    """Show the last action's report and any open confirmation dialog.

    Every page with actions calls this once, outside its live panel.
    """
    if "report" in st.session_state:
        st.fragment(_toast, run_every=REFRESH_SECONDS)(st.session_state["report"], count())
    if action := st.session_state.get("action to confirm"):
        st.dialog(action.title, on_dismiss=_clear_pending_action)(_confirm)(action)


def report(done: str, icon: str = ":material/check_circle:") -> None:
    """Show what an action did as a toast, after the next rerun. The text is Markdown."""
    st.session_state["report"] = _Report(done, icon)


def report_missed() -> bool:
    """Whether a report was drawn without reaching the browser, so that it is to be drawn again.

    Streamlit drops the output of a run if another one starts before it was sent.
    """
    found: _Report | None = st.session_state.get("report")
    if found is None or found.drawn_at is None:
        return False
    return time.monotonic() - found.drawn_at > REDRAW_SECONDS


def _toast(found: _Report, draws: Iterator[int]) -> None:
    # The first draw is that of the page; only a browser that has it asks for another.
    if next(draws):
        if st.session_state.get("report") is found:
            del st.session_state["report"]
        return
    found.drawn_at = time.monotonic()
    st.toast(found.text, icon=found.icon, duration=TOAST_SECONDS)


def _confirm(action: Action) -> None:
    st.write(action.effect)
    if st.session_state.pop("unreachable", False):
        # Drawn again because the database is back: the error would be gone.
        st.error(UNREACHABLE)
    st.text(f"Logged as {current_user()}")
    if action.statement:
        st.code(action.statement, language="sql", wrap_lines=True)
    with st.container(horizontal=True):
        confirmed = st.button(action.button, key="confirm", type="primary")
        declined = st.button(action.decline, key="decline")
    if confirmed:
        with database_errors_shown():
            try:
                require(action.needs)
                report(action.run())
            except AccessDenied as refusal:
                st.error(str(refusal))
                st.stop()
            except DatabaseUnavailable:
                st.session_state["unreachable"] = True
                raise
            except QueryError as refusal:
                st.error("Nothing was changed:")
                st.text(refusal.message)
                st.stop()
            except DatabaseError as error:
                # For example a migration that failed after others were applied.
                st.error("The action failed or was only partly completed:")
                st.text(str(error))
                st.stop()
            clear_cached_answers()
            _clear_pending_action()
            st.rerun()
    if declined:
        _clear_pending_action()
        st.rerun()


def _clear_pending_action() -> None:
    del st.session_state["action to confirm"]
