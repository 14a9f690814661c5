"""Form of a test run: prompt, models, number of jobs and rate."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lib.formats import escaped
from lib.ops.test_runs.submission import (
    MAX_IMAGES,
    MAX_JOBS,
    MAX_MODELS,
    MAX_PER_SECOND,
    MAX_PROMPT_CHARS,
    MAX_SEED,
    MAX_SIDE,
    MIN_SIDE,
    Model,
    Parameter,
    Submission,
    cost,
    parameters_of,
)
from lib.settings import settings

FIRST_MODEL = "black-forest-labs/flux-schnell"
SIZES = {
    "Square": (1024, 1024),
    "Portrait": (832, 1216),
    "Landscape": (1216, 832),
    "Tall": (768, 1344),
    "Wide": (1344, 768),
    "Small": (512, 512),
}
CUSTOM_SIZE = "Free"
IMAGES, LOAD_TEST = "Images", "Load test"


def refill(saved: Mapping[str, Any]) -> None:
    """Fill the form with the settings of an earlier run; call this before `form`."""
    sides = (saved.get("width"), saved.get("height"))
    size = next((name for name in SIZES if SIZES[name] == sides), CUSTOM_SIZE)
    load_test = saved.get("load_test")
    state: dict[str, Any] = {
        "models": saved.get("models"),
        "run mode": LOAD_TEST if load_test else IMAGES,
        "run size": size,
        "run prompt": saved.get("prompt"),
        "run negative prompt": saved.get("negative_prompt"),
        "run seed": saved.get("seed"),
    }
    for name in ("jobs", "per_second") if load_test else ("images",):
        state[f"run {name}"] = saved.get(name)
    if size == CUSTOM_SIZE:
        state["run width"], state["run height"] = sides
    for model, parameters in (saved.get("parameters") or {}).items():
        state |= {_key(model, name): value for name, value in parameters.items()}
    filled = {key: value for key, value in state.items() if value is not None or key == "run seed"}
    st.session_state["filled"] = set(filled)
    st.session_state.update(filled)


def form(models: Mapping[str, Model]) -> Submission | None:
    """Draw the form; its values once submitted, else None."""
    chosen = st.multiselect(
        "Models",
        list(models),
        **_default_unless_filled("models", default=[FIRST_MODEL] if FIRST_MODEL in models else []),
        max_selections=MAX_MODELS,
        accept_new_options=True,
        wrap=True,
        bind="query-params",
        help="All get the same prompt. Another model's id may be typed in.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        load_test = _load_test()
        images, jobs, per_second = _amounts(load_test)
        width, height = _size()
    with st.form("generate"):
        prompt = st.text_area(
            "Prompt",
            placeholder="What should the image show?",
            height=90,
            max_chars=MAX_PROMPT_CHARS,
            key="run prompt",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            negative_prompt = st.text_input(
                "Negative prompt",
                max_chars=MAX_PROMPT_CHARS,
                key="run negative prompt",
                help="Sent to the models that take one.",
            )
            seed = st.number_input(
                "Seed",
                0,
                MAX_SEED,
                **_default_unless_filled("run seed", value=None),
                step=1,
                width=180,
                help="The same seed gives the same image. Of several images each gets the next.",
            )
        parameters = {id: _parameters(models[id]) for id in chosen if id in models}
        submission = Submission(
            prompt=prompt or "",
            negative_prompt=negative_prompt or "",
            models=chosen,
            width=width,
            height=height,
            seed=seed,
            images=images,
            load_test=load_test,
            jobs=jobs,
            per_second=per_second,
            parameters=parameters,
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            sent = st.form_submit_button("Generate", type="primary")
            st.caption(_cost_notice(submission, models))
    st.session_state.pop("filled", None)
    return submission if sent else None


def _default_unless_filled(key: str, **default: Any) -> dict[str, Any]:
    # Streamlit warns if a widget has both a default and a value in the session state.
    return {"key": key} if key in st.session_state.get("filled", ()) else {"key": key} | default


def _key(model: str, parameter: str) -> str:
    return f"{parameter} of {model}"


def _load_test() -> bool:
    mode = st.segmented_control(
        "What",
        [IMAGES, LOAD_TEST],
        required=True,
        **_default_unless_filled("run mode", default=IMAGES),
        help="A load test starts many jobs, spread over time.",
    )
    return bool(mode == LOAD_TEST)


def _amounts(load_test: bool) -> tuple[int, int, float]:
    if not load_test:
        images = st.number_input(
            "Images of each model",
            1,
            MAX_IMAGES,
            **_default_unless_filled("run images", value=1),
            width=160,
        )
        return images or 1, 1, 1.0
    jobs = st.number_input(
        "Jobs",
        1,
        MAX_JOBS,
        **_default_unless_filled("run jobs", value=50),
        width=140,
        help="Shared by the models.",
    )
    per_second = st.number_input(
        "Jobs per second",
        0.1,
        MAX_PER_SECOND,
        **_default_unless_filled("run per_second", value=5.0),
        step=1.0,
        format="%.1f",
        width=140,
        help="How many are due each second. The queue starts them then, also without this page.",
    )
    return 1, jobs or 1, per_second or 1.0


def _size() -> tuple[int, int]:
    size = st.selectbox(
        "Size",
        [*SIZES, CUSTOM_SIZE],
        **_default_unless_filled("run size"),
        format_func=lambda name: (
            f"{name}, {SIZES[name][0]} by {SIZES[name][1]}" if name in SIZES else name
        ),
        width=210,
    )
    if size in SIZES:
        return SIZES[size]
    sides = MIN_SIDE, MAX_SIDE
    width = st.number_input(
        "Width", *sides, **_default_unless_filled("run width", value=1024), step=64, width=130
    )
    height = st.number_input(
        "Height", *sides, **_default_unless_filled("run height", value=1024), step=64, width=130
    )
    return width or 0, height or 0


def _parameters(model: Model) -> dict[str, Any]:
    described = parameters_of(model)
    if not described:
        return {}
    with (
        st.expander(f"Parameters of {escaped(model['display_name'])}"),
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
            return st.checkbox(
                label, help=help, **_default_unless_filled(key, value=bool(saved.default))
            )
        case "choice":
            choices = list(saved.choices)
            index = choices.index(saved.default) if saved.default in choices else 0
            return st.selectbox(
                label, choices, help=help, **_default_unless_filled(key, index=index)
            )
        case "integer" | "number":
            number = int if saved.kind == "integer" else float
            least, most, value = (
                None if bound is None else number(bound)
                for bound in (saved.min, saved.max, saved.default)
            )
            step = 1 if saved.kind == "integer" else 0.5
            return st.number_input(
                label, least, most, step=step, help=help, **_default_unless_filled(key, value=value)
            )
        case _:
            text = st.text_input(
                label, help=help, **_default_unless_filled(key, value=saved.default or "")
            )
            return text or None


def _cost_notice(submission: Submission, models: Mapping[str, Model]) -> str:
    """What submitting the form starts, and its cost."""
    if not submission.models:
        return "Choose a model first."
    count = f"{submission.total:,} {'job' if submission.total == 1 else 'jobs'}"
    if submission.load_test:
        seconds = max(submission.total - len(submission.models), 0) / submission.per_second
        count += f", due over {seconds:.0f} s"
    if not settings().replicate_token:
        return f"Starts {count}. Costs nothing: the provider is simulated."
    dollars = cost(submission, models)
    if dollars is None:
        return f"Starts {count}. What they cost is unknown: a model has no price per image."
    return f"Starts {count}. Costs about {dollars:.2f} US dollars at the provider."
