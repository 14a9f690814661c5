"""Does a generation work right now, with this model?"""

import time
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import streamlit as st

from lib.client import StartRefused
from lib.formats import escaped, plural
from lib.ops.test_runs.inputs import takes_prompt
from lib.ops.test_runs.runs import start_run
from lib.ops.test_runs.sizes import Model
from lib.ops.test_runs.submission import Invalid, Submission
from lib.resources import project_keys
from lib.roles import AccessDenied
from lib.settings import settings
from lib.ui.confirm import confirmations
from lib.ui.dashboard import actor, clear_cached_answers, functions_url, pool, read, read_once
from lib.ui.live import live, rerun_when_reachable
from lib.ui.parts.image_field import forget_stored, stored
from lib.ui.parts.test_run import is_live, is_load_test, show_run
from lib.ui.parts.test_run_form import form, refill
from lib.ui.parts.test_run_gallery import show_samples
from lib.ui.parts.test_run_list import (
    EARLIER_RUNS,
    IMAGES,
    LOAD_TEST,
    export,
    show_history,
)

LIVE_SECONDS, IDLE_SECONDS = 0.25, 2.0
"""Refresh intervals while the run has live jobs, and otherwise."""
DOUBLE_CLICK_SECONDS = 3.0


def run_id() -> UUID | None:
    """The run selected in the URL."""
    try:
        return UUID(st.query_params.get("run", ""))
    except ValueError:
        return None


def submit(submission: Submission, models: dict[str, Model]) -> bool:
    """Store its files and start a run, unless this repeats one in progress. False if refused."""
    st.session_state.pop("refusal", None)
    try:
        actor()
        submission = replace(submission, parameters=stored(submission.parameters, None))
    except (AccessDenied, Invalid) as refusal:
        st.session_state["refusal"] = str(refusal)
        return False
    previous = st.session_state.get("submitted")
    is_repeat = (
        previous is not None and previous["submission"] == submission and in_progress(previous)
    )
    id = previous["id"] if is_repeat else uuid4()
    # Stored before starting anything: a second click may abort this script at any point.
    st.session_state["submitted"] = {
        "id": id,
        "submission": submission,
        "at": time.monotonic(),
    }
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
        forget_stored()
        st.session_state["refusal"] = str(refusal)
        return False
    if is_repeat:
        st.toast("Already running. Nothing new was started.", icon=":material/info:")
    else:
        st.toast(f"{plural(submission.total)} started.", icon=":material/check_circle:")
    st.query_params["run"] = str(id)
    clear_cached_answers()
    return True


def in_progress(previous: dict) -> bool:
    """Whether a submitted run has live jobs, or was submitted just now and is not stored yet."""
    live = has_live_jobs(previous["id"])
    if live is None:
        return time.monotonic() - previous["at"] < DOUBLE_CLICK_SECONDS
    return live


def has_live_jobs(id: UUID) -> bool | None:
    """None if there is no such run."""
    run = read_once("generate", "run", run=id)
    return None if run is None else is_live(run, read_once("generate", "jobs", run=id))


def panel(id: UUID, load_test: bool, fast: bool) -> None:
    # The cached query first: it fails immediately while the database is unreachable.
    usual = {row["model_id"]: row["run_p50"] for row in read("generate", "usual")}
    run = read_once("generate", "run", run=id)
    if run is None:
        st.warning("This run no longer exists.", icon=":material/warning:")
        return
    if is_load_test(run) != load_test:
        nothing_yet(load_test)
        return
    jobs = read_once("generate", "jobs", run=id)
    show_run(run, jobs, usual)
    if is_live(run, jobs) != fast:
        # The refresh interval lives outside the panel, so rerun the page.
        clear_cached_answers()
        st.rerun()


def nothing_yet(load_test: bool) -> None:
    chosen = [models[id] for id in st.session_state.get("models", ()) if id in models]
    if load_test:
        st.info(
            "A load test sends many jobs through the real queue at a steady rate. Its results"
            " appear here.",
            icon=":material/speed:",
        )
    elif chosen and not any(map(takes_prompt, chosen)):
        st.info("Upload an image. The results appear here.", icon=":material/image:")
    else:
        show_samples()


def show_tab(load_test: bool) -> None:
    """The form of one kind of run, and the run selected in the URL if it is of that kind."""
    left, right = st.columns([3, 5], gap="medium")
    with left:
        submission = form(models, load_test=load_test)
        if again := st.session_state.pop("again", None):
            submission = Submission(**again)
        started = submission is not None and submit(submission, models)
        if refusal := st.session_state.get("refusal"):
            # May quote the input.
            st.error(f"**Not started.** {escaped(refusal)}", icon=":material/error:")
        st.caption(
            "Test jobs run through the real queue. They do not count towards users' limits and"
            " are kept separate from users' jobs."
        )
    with right:
        if id := run_id():
            fast = started or bool(has_live_jobs(id))
            seconds = LIVE_SECONDS if fast else IDLE_SECONDS
            live(partial(panel, id, load_test, fast), seconds=seconds)
        else:
            nothing_yet(load_test)


confirmations()
with rerun_when_reachable():
    models = {model["id"]: model for model in read("generate", "models")}
    if saved := st.session_state.pop("refill", None):
        refill(saved, models)
    if tab := st.session_state.pop("show next", None):
        st.session_state["show"] = tab
    elif "show" not in st.session_state and "show" not in st.query_params and (id := run_id()):
        # A link to a run leads to its tab.
        run = read_once("generate", "run", run=id)
        if run and is_load_test(run):
            st.session_state["show"] = LOAD_TEST
    images, load_test, earlier = st.tabs(
        [IMAGES, LOAD_TEST, EARLIER_RUNS], key="show", bind="query-params"
    )
    with images:
        if images.open:
            show_tab(load_test=False)
    with load_test:
        if load_test.open:
            show_tab(load_test=True)
    with earlier:
        if earlier.open:
            live(show_history)
            export()
