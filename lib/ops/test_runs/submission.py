"""What an operator submits at once: its values, checked, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_MODELS = 4
"""More do not fit side by side."""
MOST_IMAGES = 8
"""Of each model, where all are due at once."""
MOST_JOBS = 500
"""Of a load test."""
MOST_PER_SECOND = 20.0
LONGEST_PROMPT = 10_000
SMALLEST_SIDE, LARGEST_SIDE = 64, 2048
LARGEST_SEED = 2**32 - 1
NEGATIVE_PROMPT = "negative_prompt"

Model = Mapping[str, Any]
"""A row of the query `models` of queries/generate.sql."""


class Invalid(Exception):
    """What was asked for cannot be started; `field` is the name in the form of what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a model takes beside prompt, size and seed; a row of its parameter_schema."""

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
    """What the form holds.

    `images` are due at once, of each model; a load test has `jobs` in all and `per_second` of them
    due each second instead. `parameters` are the models' own, by model and name.
    """

    prompt: str
    negative_prompt: str
    models: Sequence[str]
    width: int
    height: int
    seed: int | None
    images: int
    load_test: bool
    jobs: int
    per_second: float
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def shares(self) -> dict[str, int]:
        """How many jobs each model gets."""
        if not self.load_test:
            return dict.fromkeys(self.models, self.images)
        each, rest = divmod(self.jobs, max(len(self.models), 1))
        return {model: each + (place < rest) for place, model in enumerate(self.models)}

    @property
    def total(self) -> int:
        """How many jobs it starts."""
        return sum(self.shares.values())


def parameters_of(model: Model) -> list[Parameter]:
    """The parameters of a model's own, without the negative prompt.

    Those in its defaults that its schema does not describe are left to the defaults.
    """
    defaults = model["default_parameters"]
    return [
        Parameter(
            name=said["name"],
            label=said.get("label") or said["name"],
            kind=said["kind"],
            default=defaults.get(said["name"], said.get("default")),
            min=said.get("min"),
            max=said.get("max"),
            choices=tuple(said.get("choices") or ()),
            help=said.get("help"),
        )
        for said in model["parameter_schema"]
        if said["name"] != NEGATIVE_PROMPT
    ]


def takes_negative_prompt(model: Model) -> bool:
    """Whether a negative prompt is sent to the model."""
    return any(said["name"] == NEGATIVE_PROMPT for said in model["parameter_schema"])


def check(asked: Submission, models: Mapping[str, Model]) -> None:
    """Raises Invalid, naming the first field that is wrong. `models` are those that are enabled."""
    if not asked.prompt.strip():
        raise Invalid("Prompt", "write what the image shall show.")
    if not asked.models:
        raise Invalid("Models", "choose at least one.")
    if len(asked.models) > MOST_MODELS:
        raise Invalid("Models", f"choose at most {MOST_MODELS}.")
    for model in asked.models:
        if model not in models:
            raise Invalid("Models", f"there is no enabled model {model}.")
    for name, text in (("Prompt", asked.prompt), ("Negative prompt", asked.negative_prompt)):
        if len(text) > LONGEST_PROMPT:
            raise Invalid(name, f"is longer than {LONGEST_PROMPT:,} characters.")
    if asked.negative_prompt.strip() and not any(
        takes_negative_prompt(models[model]) for model in asked.models
    ):
        raise Invalid("Negative prompt", "none of the chosen models takes one; leave it empty.")
    _within("Width", asked.width, SMALLEST_SIDE, LARGEST_SIDE)
    _within("Height", asked.height, SMALLEST_SIDE, LARGEST_SIDE)
    if asked.seed is not None:
        _within("Seed", asked.seed, 0, LARGEST_SEED)
    if asked.load_test:
        _within("Jobs", asked.jobs, len(asked.models), MOST_JOBS)
        if not 0 < asked.per_second <= MOST_PER_SECOND:
            raise Invalid("Jobs per second", f"choose more than 0, at most {MOST_PER_SECOND:g}.")
    else:
        _within("Images of each model", asked.images, 1, MOST_IMAGES)
    for model in asked.models:
        known = {parameter.name: parameter for parameter in parameters_of(models[model])}
        for name, value in asked.parameters.get(model, {}).items():
            if name not in known:
                raise Invalid(name, f"{model} has no such parameter.")
            _check_value(model, known[name], value)


def _within(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise Invalid(name, f"choose a whole number from {least:,} to {most:,}.")


def _check_value(model: str, parameter: Parameter, value: Any) -> None:
    name = f"{parameter.label} of {model}"
    match parameter.kind:
        case "boolean":
            fits = isinstance(value, bool)
        case "choice":
            if value not in parameter.choices:
                raise Invalid(name, f"choose one of {', '.join(map(str, parameter.choices))}.")
            fits = True
        case "text":
            fits = isinstance(value, str) and len(value) <= LONGEST_PROMPT
        case kind:
            fits = isinstance(value, int if kind == "integer" else int | float)
            fits = fits and not isinstance(value, bool)
    if not fits:
        raise Invalid(name, f"{value!r} is no {parameter.kind}.")
    if parameter.min is not None and value < parameter.min:
        raise Invalid(name, f"is {value:g}, the least is {parameter.min:g}.")
    if parameter.max is not None and value > parameter.max:
        raise Invalid(name, f"is {value:g}, the most is {parameter.max:g}.")


def cost(asked: Submission, models: Mapping[str, Model]) -> float | None:
    """About what the run costs at the provider, in US dollars; None where a price is unknown."""
    prices = [
        (models[model]["price_per_image"], jobs)
        for model, jobs in asked.shares.items()
        if model in models
    ]
    if any(price is None for price, _ in prices):
        return None
    return float(sum(price * jobs for price, jobs in prices))
