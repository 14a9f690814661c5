"""Validation and cost of a test run's submission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib.ops.test_runs.inputs import (
    MAX_TEXT_CHARS,
    image_input,
    parameters_of,
    problem,
    takes_negative_prompt,
    takes_prompt,
)
from lib.ops.test_runs.sizes import MAX_SIDE, MIN_SIDE, Model

MAX_MODELS = 4
"""More do not fit side by side on the page."""
MAX_IMAGES = 8
"""Per model, unless it is a load test."""
MAX_JOBS = 500
"""Per load test."""
MAX_PER_SECOND = 20.0
MAX_PROMPT_CHARS = MAX_TEXT_CHARS
MAX_SEED = 2**32 - 1


class Invalid(Exception):
    """The submission is invalid; `field` is the label of the invalid form field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Submission:
    """Values of the form.

    `images` is the number of jobs per model, started immediately. A load test starts `jobs` in
    total instead, `per_second` of them each second. Each job makes `outputs` images, or as many as
    its model can. Width and height are None if no model takes a size, or for that of the input
    image. `parameters`: model → parameter name → value, images as addresses or references of
    uploads.
    """

    prompt: str
    negative_prompt: str
    models: Sequence[str]
    width: int | None
    height: int | None
    seed: int | None
    images: int
    load_test: bool
    jobs: int
    per_second: float
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: int = 1

    @property
    def shares(self) -> dict[str, int]:
        """Number of jobs per model."""
        if not self.load_test:
            return dict.fromkeys(self.models, self.images)
        each, rest = divmod(self.jobs, max(len(self.models), 1))
        return {model: each + (place < rest) for place, model in enumerate(self.models)}

    @property
    def total(self) -> int:
        """Total number of jobs."""
        return sum(self.shares.values())


def check(submission: Submission, models: Mapping[str, Model]) -> None:
    """Validate a submission against the enabled models. Raises Invalid for the first bad field."""
    if not submission.models:
        raise Invalid("Models", "choose at least one.")
    if len(submission.models) > MAX_MODELS:
        raise Invalid("Models", f"choose at most {MAX_MODELS}.")
    for model in submission.models:
        if model not in models:
            raise Invalid("Models", f"{model} is not an enabled model.")
    chosen = [models[model] for model in submission.models]
    if any(map(takes_prompt, chosen)) and not submission.prompt.strip():
        raise Invalid("Prompt", "describe the image.")
    for name, text in (
        ("Prompt", submission.prompt),
        ("Negative prompt", submission.negative_prompt),
    ):
        if len(text) > MAX_PROMPT_CHARS:
            raise Invalid(name, f"use at most {MAX_PROMPT_CHARS:,} characters.")
    if submission.negative_prompt.strip() and not any(
        takes_negative_prompt(models[model]) for model in submission.models
    ):
        raise Invalid("Negative prompt", "no selected model accepts one.")
    for name, side in (("Width", submission.width), ("Height", submission.height)):
        if side is not None:
            _check_range(name, side, MIN_SIDE, MAX_SIDE)
    if submission.seed is not None:
        _check_range("Seed", submission.seed, 0, MAX_SEED)
    if submission.load_test:
        _check_range("Jobs", submission.jobs, len(submission.models), MAX_JOBS)
        if not 0 < submission.per_second <= MAX_PER_SECOND:
            raise Invalid("Jobs per second", f"choose a rate above 0, up to {MAX_PER_SECOND:g}.")
    else:
        _check_range("Jobs per model", submission.images, 1, MAX_IMAGES)
    most = max(models[model]["max_outputs"] for model in submission.models)
    _check_range("Images per job", submission.outputs, 1, most)
    for one in chosen:
        _check_inputs(one, submission.parameters.get(one["id"], {}))


def _check_inputs(model: Model, values: Mapping[str, Any]) -> None:
    image = image_input(model)
    known = {one.name: one for one in [*parameters_of(model), *([image] if image else [])]}
    for name, value in values.items():
        if name not in known:
            raise Invalid(name, f"{model['id']} does not have this setting.")
        if wrong := problem(known[name], value):
            raise Invalid(f"{known[name].label} of {model['id']}", wrong)
    for one in known.values():
        if one.required and one.default is None and values.get(one.name) in (None, "", []):
            raise Invalid(f"{one.label} of {model['id']}", "is required.")


def _check_range(name: str, value: int, minimum: int, maximum: int) -> None:
    if type(value) is not int or not minimum <= value <= maximum:
        raise Invalid(name, f"choose a whole number from {minimum:,} to {maximum:,}.")


def images_by_model(submission: Submission, models: Mapping[str, Model]) -> dict[str, int]:
    """How many images each model makes in all its jobs."""
    return {
        model: jobs * min(submission.outputs, models[model]["max_outputs"])
        for model, jobs in submission.shares.items()
        if model in models
    }


def cost(submission: Submission, models: Mapping[str, Model]) -> float | None:
    """Estimated cost in US dollars; None if the price of a model is unknown."""
    prices = [
        (models[model]["price_per_image"], images)
        for model, images in images_by_model(submission, models).items()
    ]
    if any(price is None for price, _ in prices):
        return None
    return float(sum(price * images for price, images in prices))
