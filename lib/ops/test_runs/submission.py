"""Validation and cost of a test run's submission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib.ops.test_runs.sizes import MAX_SIDE, MIN_SIDE, Model

MAX_MODELS = 4
"""More do not fit side by side on the page."""
MAX_IMAGES = 8
"""Per model, unless it is a load test."""
MAX_JOBS = 500
"""Per load test."""
MAX_PER_SECOND = 20.0
MAX_PROMPT_CHARS = 10_000
MAX_SEED = 2**32 - 1
NEGATIVE_PROMPT = "negative_prompt"


class Invalid(Exception):
    """The submission is invalid; `field` is the label of the invalid form field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Parameter:
    """A model-specific parameter, from the model's parameter_schema."""

    name: str
    label: str
    kind: str
    default: Any = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Any, ...] = ()
    help: str | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """Values of the form.

    `images` is the number of jobs per model, started immediately. A load test starts `jobs` in
    total instead, `per_second` of them each second. Each job makes `outputs` images, or as many as
    its model can. Width and height are None if no model takes a size. `parameters`: model →
    parameter name → value.
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


def parameters_of(model: Model) -> list[Parameter]:
    """Model-specific parameters, except the negative prompt and files.

    Defaults that the schema does not describe are omitted; they still apply.
    """
    defaults = model["default_parameters"]
    return [
        Parameter(
            name=entry["name"],
            label=entry.get("label") or entry["name"],
            kind=entry["kind"],
            default=defaults.get(entry["name"], entry.get("default")),
            min=entry.get("min"),
            max=entry.get("max"),
            choices=tuple(entry.get("choices") or ()),
            help=entry.get("help"),
        )
        for entry in model["parameter_schema"]
        if entry["name"] != NEGATIVE_PROMPT and entry["kind"] not in ("file", "files")
    ]


def takes_negative_prompt(model: Model) -> bool:
    """Whether the model supports a negative prompt."""
    return any(entry["name"] == NEGATIVE_PROMPT for entry in model["parameter_schema"])


def check(submission: Submission, models: Mapping[str, Model]) -> None:
    """Validate a submission against the enabled models. Raises Invalid for the first bad field."""
    if not submission.prompt.strip():
        raise Invalid("Prompt", "describe the image.")
    if not submission.models:
        raise Invalid("Models", "choose at least one.")
    if len(submission.models) > MAX_MODELS:
        raise Invalid("Models", f"choose at most {MAX_MODELS}.")
    for model in submission.models:
        if model not in models:
            raise Invalid("Models", f"{model} is not an enabled model.")
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
    for model in submission.models:
        known = {parameter.name: parameter for parameter in parameters_of(models[model])}
        for name, value in submission.parameters.get(model, {}).items():
            if name not in known:
                raise Invalid(name, f"{model} does not have this setting.")
            _check_value(model, known[name], value)


def _check_range(name: str, value: int, minimum: int, maximum: int) -> None:
    if type(value) is not int or not minimum <= value <= maximum:
        raise Invalid(name, f"choose a whole number from {minimum:,} to {maximum:,}.")


def _check_value(model: str, parameter: Parameter, value: Any) -> None:
    name = f"{parameter.label} of {model}"
    match parameter.kind:
        case "boolean":
            is_valid = isinstance(value, bool)
        case "choice":
            if value not in parameter.choices:
                raise Invalid(name, f"choose one of {', '.join(map(str, parameter.choices))}.")
            is_valid = True
        case "text":
            is_valid = isinstance(value, str) and len(value) <= MAX_PROMPT_CHARS
        case kind:
            is_valid = isinstance(value, int if kind == "integer" else int | float)
            is_valid = is_valid and not isinstance(value, bool)
    if not is_valid:
        raise Invalid(name, f"{value!r} is not a valid {parameter.kind}.")
    if parameter.min is not None and value < parameter.min:
        raise Invalid(name, f"use at least {parameter.min:g}, not {value:g}.")
    if parameter.max is not None and value > parameter.max:
        raise Invalid(name, f"use at most {parameter.max:g}, not {value:g}.")


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
