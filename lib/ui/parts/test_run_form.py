"""Form of a test run: prompt, models, size, and how many images or jobs."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lib.formats import duration, escaped, plural
from lib.ops.test_runs.sizes import Model, bounds, size_choices
from lib.ops.test_runs.submission import (
    MAX_IMAGES,
    MAX_JOBS,
    MAX_MODELS,
    MAX_PER_SECOND,
    MAX_PROMPT_CHARS,
    MAX_SEED,
    Parameter,
    Submission,
    cost,
    images_by_model,
    parameters_of,
    takes_negative_prompt,
)
from lib.settings import settings

FIRST_MODEL = "black-forest-labs/flux-schnell"
CUSTOM_SIZE = "Custom"


def refill(saved: Mapping[str, Any], models: Mapping[str, Model]) -> None:
    """Fill the form with the settings of an earlier run; call this before `form`."""
    sides = (saved.get("width"), saved.get("height"))
    choices = size_choices([models[model] for model in saved["models"] if model in models])
    size = next((label for label in choices if choices[label] == sides), CUSTOM_SIZE)
    state: dict[str, Any] = {
        "models": saved.get("models"),
        "run size": size,
        "run prompt": saved.get("prompt"),
        "run negative prompt": saved.get("negative_prompt"),
        "run seed": saved.get("seed"),
    }
    for name in ("jobs", "per_second") if saved.get("load_test") else ("images", "outputs"):
        state[f"run {name}"] = saved.get(name)
    if size == CUSTOM_SIZE:
        state["run width"], state["run height"] = sides
    for model, parameters in (saved.get("parameters") or {}).items():
        state |= {_key(model, name): value for name, value in parameters.items()}
    filled = {key: value for key, value in state.items() if value is not None or key == "run seed"}
    st.session_state["filled"] = set(filled)
    st.session_state.update(filled)


def form(models: Mapping[str, Model], *, load_test: bool) -> Submission | None:
    """Draw the form of one kind of run; its values once submitted, else None.

    Both kinds share their prompt, models and settings.
    """
    prompt = st.text_area(
        "Prompt",
        placeholder="Describe the image",
        height=110,
        max_chars=MAX_PROMPT_CHARS,
        **_state("run prompt"),
    )
    chosen = st.multiselect(
        "Models",
        list(models),
        **_state("models", default=[FIRST_MODEL] if FIRST_MODEL in models else []),
        max_selections=MAX_MODELS,
        accept_new_options=True,
        wrap=True,
        bind="query-params",
        help="Every model gets the same prompt. To use a model that is not listed, type its id.",
    )
    known = [models[model] for model in chosen if model in models]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        images, jobs, per_second = _amounts(load_test)
        outputs = 1 if load_test else _outputs(known)
        width, height = _size(known)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seed = _seed(known)
        negative_prompt = _negative_prompt(known)
    parameters = {model["id"]: _parameters(model) for model in known}
    submission = Submission(
        prompt=prompt or "",
        negative_prompt=negative_prompt,
        models=chosen,
        width=width,
        height=height,
        seed=seed,
        images=images,
        load_test=load_test,
        jobs=jobs,
        per_second=per_second,
        parameters=parameters,
        outputs=outputs,
    )
    sent = st.button(_button(submission, models), type="primary", key="generate")
    st.caption(_notice(submission, models))
    st.session_state.pop("filled", None)
    return submission if sent else None


def _state(key: str, **default: Any) -> dict[str, Any]:
    """Key of a field that keeps its value on other tabs and pages, and its default.

    Streamlit warns if a widget has both a default and a value in the session state.
    """
    kept = {"key": key, "persist_state": "session"}
    return kept if key in st.session_state.get("filled", ()) else kept | default


def _fill(key: str, value: Any) -> None:
    st.session_state[key] = value
    st.session_state.setdefault("filled", set()).add(key)


def _keep_within(key: str, least: int, most: int) -> None:
    """Keep the value of a number field within bounds that changed with the models."""
    value = st.session_state.get(key)
    if value is not None and not least <= value <= most:
        _fill(key, min(max(value, least), most))


def _key(model: str, parameter: str) -> str:
    return f"{parameter} of {model}"


def _amounts(load_test: bool) -> tuple[int, int, float]:
    if not load_test:
        images = st.number_input(
            "Jobs per model", 1, MAX_IMAGES, **_state("run images", value=1), width=130
        )
        return images or 1, 1, 1.0
    jobs = st.number_input(
        "Jobs",
        1,
        MAX_JOBS,
        **_state("run jobs", value=50),
        width=120,
        help="In total, divided evenly among the models.",
    )
    per_second = st.number_input(
        "Jobs per second",
        0.1,
        MAX_PER_SECOND,
        **_state("run per_second", value=5.0),
        step=1.0,
        format="%.1f",
        width=140,
        help="Jobs are scheduled at this rate. They start on time even if you close this page.",
    )
    return 1, jobs or 1, per_second or 1.0


def _outputs(models: Sequence[Model]) -> int:
    most = max((model["max_outputs"] for model in models), default=1)
    if most == 1:
        return 1
    takers = [str(model["display_name"]) for model in models if model["max_outputs"] > 1]
    _keep_within("run outputs", 1, most)
    images = st.number_input(
        "Images per job",
        1,
        most,
        **_state("run outputs", value=1),
        width=130,
        help=escaped(f"Generated in one prediction by {', '.join(takers)}."),
    )
    return images or 1


def _size(models: Sequence[Model]) -> tuple[int | None, int | None]:
    choices, limits = size_choices(models), bounds(models)
    options = [*choices, CUSTOM_SIZE] if limits else list(choices)
    if not options:
        return None, None
    before = st.session_state.get("run size")
    if before and before not in options:
        # Of other models: the same ratio, if these make it.
        ratio = before.partition(" ")[0]
        same = [label for label in options if label.partition(" ")[0] == ratio]
        _fill("run size", (same or options)[0])
    size = st.selectbox("Size", options, **_state("run size"))
    if size in choices or not limits:
        return choices[size]
    return _side("Width", *limits[0]), _side("Height", *limits[1])


def _side(label: str, least: int, most: int) -> int:
    key = f"run {label.lower()}"
    _keep_within(key, least, most)
    usual = min(max(1024, least), most)
    side = st.number_input(label, least, most, **_state(key, value=usual), step=64, width=130)
    return side or 0


def _seed(models: Sequence[Model]) -> int | None:
    if models and not any(model["takes_seed"] for model in models):
        return None
    seed: int | None = st.number_input(
        "Seed",
        0,
        MAX_SEED,
        **_state("run seed", value=None),
        step=1,
        placeholder="Random",
        width=150,
        help="The same seed gives the same image. With several jobs, it increases by 1 for each.",
    )
    return seed


def _negative_prompt(models: Sequence[Model]) -> str:
    takers = [str(model["display_name"]) for model in models if takes_negative_prompt(model)]
    if not takers:
        return ""
    return (
        st.text_input(
            "Negative prompt",
            placeholder="What the image should not show",
            max_chars=MAX_PROMPT_CHARS,
            **_state("run negative prompt"),
            help=escaped(f"Used by {', '.join(takers)}."),
        )
        or ""
    )


def _parameters(model: Model) -> dict[str, Any]:
    described = parameters_of(model)
    if not described:
        return {}
    with (
        st.expander(f"Settings of {escaped(model['display_name'])}"),
        st.grid("auto", min_column_width=180),
    ):
        values = {parameter.name: _value(model, parameter) for parameter in described}
    return {name: value for name, value in values.items() if value is not None}


def _value(model: Model, saved: Parameter) -> Any:
    key = _key(model["id"], saved.name)
    label = escaped(saved.label)
    help = escaped(saved.help) if saved.help else None
    match saved.kind:
        case "boolean":
            return st.checkbox(label, help=help, **_state(key, value=bool(saved.default)))
        case "choice":
            choices = list(saved.choices)
            index = choices.index(saved.default) if saved.default in choices else 0
            return st.selectbox(label, choices, help=help, **_state(key, index=index))
        case "integer" | "number":
            number = int if saved.kind == "integer" else float
            least, most, value = (
                None if bound is None else number(bound)
                for bound in (saved.min, saved.max, saved.default)
            )
            step = 1 if saved.kind == "integer" else 0.5
            return st.number_input(
                label, least, most, step=step, help=help, **_state(key, value=value)
            )
        case _:
            text = st.text_input(label, help=help, **_state(key, value=saved.default or ""))
            return text or None


def _button(submission: Submission, models: Mapping[str, Model]) -> str:
    if submission.load_test:
        label = f"Start {plural(submission.total)}"
    else:
        images = sum(images_by_model(submission, models).values()) or submission.total
        label = f"Generate {plural(images, 'image')}"
    dollars = cost(submission, models) if settings().replicate_token else None
    return f"{label} · about ${dollars:.2f}" if dollars else label


def _notice(submission: Submission, models: Mapping[str, Model]) -> str:
    """When the jobs run, and what they cost if the button does not say so."""
    if not submission.models:
        return "Select a model."
    parts = []
    if submission.load_test:
        seconds = max(submission.total - len(submission.models), 0) / submission.per_second
        parts.append(f"Scheduled over {duration(round(seconds))}.")
    if not settings().replicate_token:
        parts.append("Free of charge: the provider is simulated.")
    elif cost(submission, models) is None:
        parts.append("Cost unknown: a selected model has no price.")
    return " ".join(parts)
