"""The dialog that runs an ended job again."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import streamlit as st

from lib.database import DatabaseError, QueryError
from lib.formats import escaped
from lib.ops.run_again import Changes, parse_parameters, run_again
from lib.ops.test_runs.submission import MAX_PROMPT_CHARS, MAX_SEED, Invalid
from lib.roles import AccessDenied, Role
from lib.ui.access import require
from lib.ui.confirm import report
from lib.ui.dashboard import actor, clear_cached_answers, current_user, pool

STATE = "run again"
AS_TEST, AS_USER = "As a test", "On behalf of the user"

Job = Mapping[str, Any]
"""A row of the query `job` of queries/job.sql."""


def open_dialog(job: Job, title: str) -> None:
    """Open the dialog, or say that the viewer's role is too low. Reruns the page.

    `title` is the label of the button.
    """
    try:
        require(Role.OPERATOR)
    except AccessDenied as refusal:
        st.toast(escaped(str(refusal)), icon=":material/block:")
        return
    st.session_state[STATE] = {"job": job, "title": title, "key": uuid4()}
    st.rerun()


def run_again_dialog(id: str) -> None:
    """Draw the dialog if it is open for the job or generation of this id.

    Called outside the live panel, which would close it.
    """
    opened = st.session_state.get(STATE)
    if opened is None:
        return
    job = opened["job"]
    if id not in (str(job["id"]), str(job["generation_id"])):
        _close()
        return
    st.dialog(opened["title"], width="medium", on_dismiss=_close)(_form)(job, opened["key"])


def _form(job: Job, key: Any) -> None:
    asked = json.loads(job["parameters"])
    seed = asked.pop("seed", None)
    with st.form(f"run again {key}", border=False):
        st.text(f"Model: {job['model_id']}")
        prompt = st.text_area("Prompt", job["prompt"] or "", height=120, max_chars=MAX_PROMPT_CHARS)
        known = isinstance(seed, int) and 0 <= seed <= MAX_SEED
        number = st.number_input(
            "Seed",
            0,
            MAX_SEED,
            seed if known else None,
            step=1,
            width=220,
            placeholder="random",
            help="The same seed and prompt give the same image.",
        )
        text = st.text_area(
            "Parameters",
            json.dumps(asked, indent=2, ensure_ascii=False),
            height=150,
            help="A JSON object with the size and the other parameters of the model.",
        )
        choices = [AS_TEST, AS_USER] if job["user_id"] else [AS_TEST]
        chosen = st.radio(
            "Run",
            choices,
            captions=[
                "Does not count towards any limit, and no user sees it.",
                f"Counts towards the limits of {escaped(job['email'] or str(job['user_id']))},"
                " who sees the image.",
            ][: len(choices)],
        )
        st.text(f"Logged as {current_user()}")
        with st.container(horizontal=True):
            started = st.form_submit_button("Run again", type="primary")
            declined = st.form_submit_button("Cancel")
    if declined:
        _close()
        st.rerun()
    if started:
        _start(job, key, prompt, number, text, test=chosen == AS_TEST)


def _start(job: Job, key: Any, prompt: str, seed: int | None, text: str, *, test: bool) -> None:
    try:
        changes = Changes(prompt, parse_parameters(text), seed, test)
        new = run_again(pool(), actor(), job["id"], job["model_id"], key, changes)
    except (AccessDenied, Invalid) as refusal:
        st.error(f"Not started. {escaped(str(refusal))}")
        return
    except QueryError as refusal:
        st.error(f"Not started: {escaped(refusal.message)}.")
        return
    except DatabaseError as error:
        st.error(
            "The job may not have been started. Try again here: it starts only once."
            f" {escaped(str(error))}"
        )
        return
    _close()
    clear_cached_answers()
    report("New job started.")
    st.switch_page("pages/job.py", query_params={"id": str(new)})


def _close() -> None:
    st.session_state.pop(STATE, None)
