"""Does a generation work right now, with this model?"""

import time
from functools import partial
from uuid import UUID, uuid4

import streamlit as st

from lib.client import StartRefused
from lib.formats import escaped, plural
from lib.ops.test_runs.runs import start_run
from lib.ops.test_runs.submission import Invalid, Model, Submission
from lib.resources import project_keys
from lib.roles import AccessDenied
from lib.settings import settings
from lib.ui.confirm import confirmations
from lib.ui.dashboard import actor, clear_cached_answers, functions_url, pool, read, read_once
from lib.ui.live import live, rerun_when_reachable
from lib.ui.parts.test_run import is_live, show_run
from lib.ui.parts.test_run_form import form, refill
from lib.ui.parts.test_run_list import export, show_history

LIVE_SECONDS, IDLE_SECONDS = 0.25, 2.0
"""Refresh intervals while the run has live jobs, and otherwise."""
DOUBLE_CLICK_SECONDS = 3.0

st.caption(
    "Test generations go through the real queue. They count for no user's limit, and are kept"
    " apart from what users ask for."
)


def run_id() -> UUID | None:
    """The run selected in the URL."""
    try:
        return UUID(st.query_params.get("run", ""))
    except ValueError:
        return None


def submit(submission: Submission, models: dict[str, Model]) -> bool:
    """Start a run, unless this repeats one in progress. False if refused."""
    st.session_state.pop("refusal", None)
    previous = st.session_state.get("submitted")
    is_repeat = previous is not None and previous["asked"] == submission and in_progress(previous)
    id = previous["id"] if is_repeat else uuid4()
    # Stored before starting anything: a second click may abort this script at any point.
    st.session_state["submitted"] = {"id": id, "asked": submission, "at": time.monotonic()}
    try:
        # Idempotent: with the id of an existing run it only starts the missing jobs.
        start_run(
            pool(),
            actor(),
            functions_url(),
            project_keys(settings()).secret,
            id,
            submission,
            models,
        )
    except (AccessDenied, Invalid, StartRefused) as refusal:
        del st.session_state["submitted"]
        st.session_state["refusal"] = str(refusal)
        # A toast as well: on a phone, the error beside the form is out of view below it.
        st.toast(f"Not started. {escaped(str(refusal))}", icon=":material/error:")
        return False
    if is_repeat:
        st.toast("Under way already: nothing new was started.", icon=":material/info:")
    else:
        st.toast(f"Queued: {plural(submission.total)}.", icon=":material/check_circle:")
    st.query_params["run"] = str(id)
    clear_cached_answers()
    return True


def in_progress(previous: dict) -> bool:
    if time.monotonic() - previous["at"] < DOUBLE_CLICK_SECONDS:
        return True
    return is_changing(previous["id"])


def panel(id: UUID, fast: bool) -> None:
    # The cached query first: it fails immediately while the database is unreachable.
    usual = {row["model_id"]: row["run_p50"] for row in read("generate", "usual")}
    run = read_once("generate", "run", run=id)
    if run is None:
        st.warning("There is no such test run (any more).", icon=":material/warning:")
        return
    jobs = read_once("generate", "jobs", run=id)
    show_run(run, jobs, usual)
    if is_live(run, jobs) != fast:
        # The refresh interval and the history live outside the panel, so rerun the page.
        clear_cached_answers()
        st.rerun()


def is_changing(id: UUID) -> bool:
    run = read_once("generate", "run", run=id)
    return run is not None and is_live(run, read_once("generate", "jobs", run=id))


confirmations()
with rerun_when_reachable():
    if saved := st.session_state.pop("refill", None):
        refill(saved)
    models = {model["id"]: model for model in read("generate", "models")}
    left, right = st.columns([2, 3], gap="medium")
    with left:
        submission = form(models)
        started = submission is not None and submit(submission, models)
    with right:
        if refusal := st.session_state.get("refusal"):
            # May quote the input.
            st.error(f"**Not started.** {escaped(refusal)}", icon=":material/error:")
        if id := run_id():
            fast = started or is_changing(id)
            live(partial(panel, id, fast), seconds=LIVE_SECONDS if fast else IDLE_SECONDS)
        else:
            st.info("The images appear here, and how long they take.", icon=":material/image:")
    if id:
        show_history()
    else:
        live(show_history)
    export()
