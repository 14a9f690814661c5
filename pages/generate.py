"""Does a generation run through, now, with this model?"""

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
from lib.ui.dashboard import actor, functions_url, pool, read, read_anew, read_once
from lib.ui.live import drawn_once_back, live
from lib.ui.parts.test_run import is_live, show_run
from lib.ui.parts.test_run_form import form, refill
from lib.ui.parts.test_run_list import export, show_history

LIVE_SECONDS, CALM_SECONDS = 0.25, 2.0
"""How often the page is drawn again while something of the run changes, and otherwise."""
DOUBLE_CLICK_SECONDS = 3.0

st.caption(
    "Test generations go through the real queue. They count for no user's limit, and are kept"
    " apart from what users ask for."
)


def run_id() -> UUID | None:
    """The run that the address names."""
    try:
        return UUID(st.query_params.get("run", ""))
    except ValueError:
        return None


def submit(asked: Submission, models: dict[str, Model]) -> bool:
    """Starts a run, unless the form of one that is under way was sent again. False if refused."""
    st.session_state.pop("refusal", None)
    earlier = st.session_state.get("submitted")
    again = earlier is not None and earlier["asked"] == asked and under_way(earlier)
    id = earlier["id"] if again else uuid4()
    # Noted before anything is started: a second click may stop this script at any moment.
    st.session_state["submitted"] = {"id": id, "asked": asked, "at": time.monotonic()}
    try:
        # With the id of a run that was started it starts nothing new, only what is missing.
        start_run(
            pool(), actor(), functions_url(), project_keys(settings()).secret, id, asked, models
        )
    except (AccessDenied, Invalid, StartRefused) as refusal:
        del st.session_state["submitted"]
        st.session_state["refusal"] = str(refusal)
        # On a phone what stands beside the form is below it.
        st.toast(f"Not started. {escaped(str(refusal))}", icon=":material/error:")
        return False
    if again:
        st.toast("Under way already: nothing new was started.", icon=":material/info:")
    else:
        st.toast(f"Queued: {plural(asked.total)}.", icon=":material/check_circle:")
    st.query_params["run"] = str(id)
    read_anew()
    return True


def under_way(earlier: dict) -> bool:
    if time.monotonic() - earlier["at"] < DOUBLE_CLICK_SECONDS:
        return True
    return changes(earlier["id"])


def panel(id: UUID, fast: bool) -> None:
    # First what is shared: while the database is away, that it is so is known without waiting.
    usual = {row["model_id"]: row["run_p50"] for row in read("generate", "usual")}
    run = read_once("generate", "run", run=id)
    if run is None:
        st.warning("There is no such test run (any more).", icon=":material/warning:")
        return
    jobs = read_once("generate", "jobs", run=id)
    show_run(run, jobs, usual)
    if is_live(run, jobs) != fast:
        # How often a panel is drawn is settled outside of it, and the history is there too.
        read_anew()
        st.rerun()


def changes(id: UUID) -> bool:
    run = read_once("generate", "run", run=id)
    return run is not None and is_live(run, read_once("generate", "jobs", run=id))


confirmations()
with drawn_once_back():
    if said := st.session_state.pop("refill", None):
        refill(said)
    models = {model["id"]: model for model in read("generate", "models")}
    left, right = st.columns([2, 3], gap="medium")
    with left:
        asked = form(models)
        started = asked is not None and submit(asked, models)
    with right:
        if refusal := st.session_state.get("refusal"):
            # It quotes what was typed in, so it is escaped.
            st.error(f"**Not started.** {escaped(refusal)}", icon=":material/error:")
        if id := run_id():
            fast = started or changes(id)
            live(partial(panel, id, fast), seconds=LIVE_SECONDS if fast else CALM_SECONDS)
        else:
            st.info("The images appear here, and how long they take.", icon=":material/image:")
    if id:
        show_history()
    else:
        live(show_history)
    export()
