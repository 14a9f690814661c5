"""The dialog that runs an ended job again, with the form of Generate for its model."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import streamlit as st

from lib.database import DatabaseError, QueryError
from lib.formats import escaped, sentence
from lib.ops.run_again import (
    Changes,
    image_count,
    parse_parameters,
    resized,
    run_again,
    with_image_count,
)
from lib.ops.test_runs.inputs import (
    NEGATIVE_PROMPT,
    image_input,
    parameters_of,
    takes_negative_prompt,
    takes_prompt,
)
from lib.ops.test_runs.sizes import Model, size_choices
from lib.ops.test_runs.submission import MAX_PROMPT_CHARS, MAX_SEED, Invalid
from lib.roles import AccessDenied, Role
from lib.ui.access import require
from lib.ui.confirm import report
from lib.ui.dashboard import (
    actor,
    clear_cached_answers,
    current_user,
    database_errors_shown,
    pool,
    read,
)
from lib.ui.parts.image_field import fill_images, forget_stored, image_field, stored
from lib.ui.parts.parameter_fields import (
    fill_parameters,
    filled,
    image_list,
    images_value,
    parameter_fields,
)

STATE = "run again"
AS_TEST, AS_USER = "As a test", "On behalf of the user"
SAME_SIZE = "Unchanged"

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
    key = uuid4()
    if model := _model(job):
        asked = json.loads(job["parameters"])
        fill_parameters(parameters_of(model), [str(key)], asked)
        image = image_input(model)
        if image:
            fill_images(_image_key(key), image_list(asked.get(image.name)))
    st.session_state[STATE] = {"job": job, "title": title, "key": key}
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
    st.dialog(opened["title"], width="medium", on_dismiss=_close)(_draw)(job, opened["key"])


def _draw(job: Job, key: UUID) -> None:
    with database_errors_shown():
        _form(job, key)


def _form(job: Job, key: UUID) -> None:
    asked = json.loads(job["parameters"])
    seed = asked.pop("seed", None)
    model = _model(job)
    st.text(f"Model: {job['model_id']}")
    prompt = _prompt(job, key) if model is None or takes_prompt(model) else None
    parameters: dict[str, Any] | str
    if model is not None and model["has_schema"]:
        parameters = _fields(model, asked, key)
    else:
        parameters = st.text_area(
            "Parameters",
            json.dumps(asked, indent=2, ensure_ascii=False),
            height=150,
            key=f"parameters {key}",
            help="A JSON object with the size and the model's other parameters.",
        )
    number = _seed(seed, key) if model is None or model["takes_seed"] else None
    choices = [AS_TEST, AS_USER] if job["user_id"] else [AS_TEST]
    chosen = st.radio(
        "Run",
        choices,
        key=f"run {key}",
        captions=[
            "Does not count towards any limit, and no user sees it.",
            f"Counts towards the limits of {escaped(job['email'] or str(job['user_id']))},"
            " who sees the image.",
        ][: len(choices)],
    )
    st.text(f"Logged as {current_user()}")
    with st.container(horizontal=True):
        started = st.button("Run again", type="primary", key=f"start {key}")
        declined = st.button("Cancel", key=f"decline {key}")
    if declined:
        _close()
        st.rerun()
    if started:
        _start(job, key, prompt, number, parameters, test=chosen == AS_TEST)


def _prompt(job: Job, key: UUID) -> str:
    return st.text_area(
        "Prompt",
        job["prompt"] or "",
        height=120,
        max_chars=MAX_PROMPT_CHARS,
        key=f"prompt {key}",
    )


def _seed(seed: Any, key: UUID) -> int | None:
    known = isinstance(seed, int) and 0 <= seed <= MAX_SEED
    return st.number_input(
        "Seed",
        0,
        MAX_SEED,
        seed if known else None,
        step=1,
        width=220,
        key=f"seed {key}",
        placeholder="Random",
        help="The same seed and prompt give the same image.",
    )


def _fields(model: Model, asked: Mapping[str, Any], key: UUID) -> dict[str, Any]:
    """Draw the fields of the model's inputs; the parameters, files still to be stored.

    Defaults that were not asked for are left out: they still apply.
    """
    image, settings = image_input(model), parameters_of(model)
    names = {one.name for one in settings} | ({image.name} if image else set())
    parameters = {name: value for name, value in asked.items() if name not in names}
    if image and (images := image_field(image.label, _image_key(key))):
        parameters[image.name] = images_value(image, images)
    if takes_negative_prompt(model):
        before = str(asked.get(NEGATIVE_PROMPT) or "")
        parameters[NEGATIVE_PROMPT] = st.text_input(
            "Negative prompt", before, max_chars=MAX_PROMPT_CHARS, key=f"negative {key}"
        )
    with st.container(horizontal=True):
        if choices := size_choices([model]):
            size = st.selectbox("Size", [SAME_SIZE, *choices], key=f"size {key}", width=300)
            if size != SAME_SIZE:
                parameters = resized(parameters, *choices[size])
        if (most := model["max_outputs"]) > 1:
            before = min(image_count(asked), most)
            count = st.number_input("Images", 1, most, before, key=f"count {key}", width=130)
            if count != before:
                parameters = with_image_count(parameters, count)
    if settings:
        with st.expander("Settings", expanded=not takes_prompt(model)):
            values = parameter_fields(settings, [str(key)])
        defaults = {one.name: one.default for one in settings}
        parameters |= {
            name: value
            for name, value in values.items()
            if name in asked or value != defaults[name]
        }
    return parameters


def _start(
    job: Job,
    key: UUID,
    prompt: str | None,
    seed: int | None,
    parameters: Mapping[str, Any] | str,
    *,
    test: bool,
) -> None:
    try:
        who = actor()
        given = parse_parameters(parameters) if isinstance(parameters, str) else parameters
        files_stored = stored(given, None if test else job["user_id"])
        changes = Changes(prompt, files_stored, seed, test)
        new = run_again(pool(), who, job["id"], job["model_id"], key, changes)
    except (AccessDenied, Invalid) as refusal:
        st.error(f"Not started. {escaped(str(refusal))}")
        return
    except QueryError as refusal:
        forget_stored()
        st.error(f"Not started. {escaped(sentence(refusal.message))}")
        return
    except DatabaseError as error:
        st.error(
            "The job may not have started. Try again here: it will not start twice."
            f" {escaped(str(error))}"
        )
        return
    _close()
    clear_cached_answers()
    report("New job started.")
    st.switch_page("pages/job.py", query_params={"id": str(new)})


def _model(job: Job) -> Model | None:
    """The job's model as the form needs it; None if it is not enabled."""
    models = read("generate", "models")
    return next((model for model in models if model["id"] == job["model_id"]), None)


def _image_key(key: UUID) -> str:
    return f"image {key}"


def _close() -> None:
    st.session_state.pop(STATE, None)
    filled().clear()
