"""Form of a test run: prompt, models, input images, size, and how many images or jobs."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lib.formats import duration, escaped, plural
from lib.ops.test_runs.inputs import (
    image_input,
    parameters_of,
    shared_parameters,
    takes_negative_prompt,
    takes_prompt,
)
from lib.ops.test_runs.sizes import Model
from lib.ops.test_runs.submission import (
    MAX_IMAGES,
    MAX_JOBS,
    MAX_MODELS,
    MAX_PER_SECOND,
    MAX_PROMPT_CHARS,
    MAX_SEED,
    Submission,
    cost,
    images_by_model,
)
from lib.settings import settings
from lib.ui.parts.image_field import fill_images, image_field
from lib.ui.parts.parameter_fields import (
    field_state,
    fill,
    fill_parameters,
    image_list,
    images_value,
    parameter_fields,
)
from lib.ui.parts.size_field import keep_within, saved_size, size_field

FIRST_MODEL = "black-forest-labs/flux-schnell"
IMAGE = "run image"


def refill(saved: Mapping[str, Any], models: Mapping[str, Model]) -> None:
    """Fill the form with the settings of an earlier run; call this before `form`."""
    known = [models[model] for model in saved["models"] if model in models]
    state: dict[str, Any] = {
        "models": saved.get("models"),
        "run prompt": saved.get("prompt"),
        "run negative prompt": saved.get("negative_prompt"),
        "run seed": saved.get("seed"),
        **saved_size(known, (saved.get("width"), saved.get("height"))),
    }
    for name in ("jobs", "per_second") if saved.get("load_test") else ("images", "outputs"):
        state[f"run {name}"] = saved.get(name)
    fill({key: value for key, value in state.items() if value is not None or key == "run seed"})
    fill_images(IMAGE, [])
    values = saved.get("parameters") or {}
    for parameters, sharing in _groups(known):
        fill_parameters(parameters, sharing, values.get(sharing[0], {}))
    for model in known:
        image = image_input(model)
        if image and (images := values.get(model["id"], {}).get(image.name)):
            fill_images(IMAGE, image_list(images))
            # The same images for all models.
            break


def form(models: Mapping[str, Model], *, load_test: bool) -> Submission | None:
    """Draw the form of one kind of run; its values once submitted, else None.

    Both kinds share their prompt, models and settings. Only what a chosen model takes is offered.
    Input images may be files that are still to be stored.
    """
    above = st.container()
    chosen = st.multiselect(
        "Models",
        list(models),
        **field_state("models", default=[FIRST_MODEL] if FIRST_MODEL in models else []),
        max_selections=MAX_MODELS,
        accept_new_options=True,
        wrap=True,
        bind="query-params",
        help="Every model gets the same prompt. To use a model that is not listed, type its id.",
    )
    known = [models[model] for model in chosen if model in models]
    with above:
        prompt = _prompt(known)
    images = _input_images(known)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        jobs_per_model, jobs, per_second = _amounts(load_test)
        outputs = 1 if load_test else _outputs(known)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        width, height = size_field(known, has_image=bool(images))
        seed = _seed(known)
    negative_prompt = _negative_prompt(known)
    submission = Submission(
        prompt=prompt,
        negative_prompt=negative_prompt,
        models=chosen,
        width=width,
        height=height,
        seed=seed,
        images=jobs_per_model,
        load_test=load_test,
        jobs=jobs,
        per_second=per_second,
        parameters=_parameters(known, images),
        outputs=outputs,
    )
    sent = st.button(_button(submission, models), type="primary", key="generate")
    st.caption(_notice(submission, models))
    st.session_state.pop("filled", None)
    return submission if sent else None


def _prompt(models: Sequence[Model]) -> str:
    if models and not any(map(takes_prompt, models)):
        return ""
    return (
        st.text_area(
            "Prompt",
            placeholder="Describe the image",
            height=110,
            max_chars=MAX_PROMPT_CHARS,
            **field_state("run prompt"),
        )
        or ""
    )


def _input_images(models: Sequence[Model]) -> list[Any]:
    """The images that the models start from: each that takes images gets the same."""
    inputs = {str(model["display_name"]): image_input(model) for model in models}
    takers = [name for name, one in inputs.items() if one]
    if not takers:
        return []
    several = any(one.kind == "files" for one in inputs.values() if one)
    images = image_field(
        "Input images" if several else "Input image",
        IMAGE,
        help=escaped(f"Used by {', '.join(takers)}."),
    )
    only_first = [name for name, one in inputs.items() if one and one.kind == "file"]
    if len(images) > 1 and only_first:
        st.caption(escaped(f"{', '.join(only_first)}: only the first image is used."))
    return images


def _parameters(models: Sequence[Model], images: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Values of the models' other inputs: those that all share, and those of each one."""
    values: dict[str, dict[str, Any]] = {model["id"]: {} for model in models}
    names = {model["id"]: model["display_name"] for model in models}
    for parameters, sharing in _groups(models):
        title = escaped(names[sharing[0]]) if len(sharing) == 1 else "all models"
        # A model without a prompt has little else to set.
        open = not any(map(takes_prompt, models)) or any(one.required for one in parameters)
        with st.expander(f"Settings of {title}", expanded=open):
            found = parameter_fields(parameters, sharing)
        for id in sharing:
            values[id] |= found
    for one in models:
        image = image_input(one)
        if image and images:
            values[one["id"]][image.name] = images_value(image, images)
    return values


def _groups(models: Sequence[Model]) -> list[tuple[list[Any], list[str]]]:
    """Inputs that are set together, with the models that they are of; none without inputs."""
    shared = shared_parameters(models)
    names = {one.name for one in shared}
    groups = [(shared, [str(model["id"]) for model in models])]
    for model in models:
        own = [one for one in parameters_of(model) if one.name not in names]
        groups.append((own, [str(model["id"])]))
    return [group for group in groups if group[0]]


def _amounts(load_test: bool) -> tuple[int, int, float]:
    if not load_test:
        images = st.number_input(
            "Jobs per model", 1, MAX_IMAGES, **field_state("run images", value=1), width=130
        )
        return images or 1, 1, 1.0
    jobs = st.number_input(
        "Jobs",
        1,
        MAX_JOBS,
        **field_state("run jobs", value=50),
        width=120,
        help="In total, divided evenly among the models.",
    )
    per_second = st.number_input(
        "Jobs per second",
        0.1,
        MAX_PER_SECOND,
        **field_state("run per_second", value=5.0),
        step=1.0,
        format="%.1f",
        width=140,
        help="Jobs become due at this rate, even if you close this page.",
    )
    return 1, jobs or 1, per_second or 1.0


def _outputs(models: Sequence[Model]) -> int:
    most = max((model["max_outputs"] for model in models), default=1)
    if most == 1:
        return 1
    takers = [str(model["display_name"]) for model in models if model["max_outputs"] > 1]
    keep_within("run outputs", 1, most)
    images = st.number_input(
        "Images per job",
        1,
        most,
        **field_state("run outputs", value=1),
        width=130,
        help=escaped(f"Generated in one prediction by {', '.join(takers)}."),
    )
    return images or 1


def _seed(models: Sequence[Model]) -> int | None:
    if models and not any(model["takes_seed"] for model in models):
        return None
    seed: int | None = st.number_input(
        "Seed",
        0,
        MAX_SEED,
        **field_state("run seed", value=None),
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
            **field_state("run negative prompt"),
            help=escaped(f"Used by {', '.join(takers)}."),
        )
        or ""
    )


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
