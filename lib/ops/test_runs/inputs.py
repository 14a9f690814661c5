"""What the form of a test run offers for its models, from their schemas."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib.ops.test_runs.sizes import Model

MAX_TEXT_CHARS = 10_000
NEGATIVE_PROMPT = "negative_prompt"
IMAGE_KINDS = ("file", "files")
IMAGE_ADDRESSES = ("https://", "data:", "upload:")
"""How the value of an image input begins."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input of a model, as parameter_schema describes it.

    `kind` is integer, number, boolean, choice, text, file (one image) or files (a list of them).
    """

    name: str
    label: str
    kind: str
    default: Any = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Any, ...] = ()
    help: str | None = None
    required: bool = False


def takes_prompt(model: Model) -> bool:
    """Whether the model takes a prompt, as background removal does not."""
    return bool(model["takes_prompt"])


def takes_negative_prompt(model: Model) -> bool:
    """Whether the model supports a negative prompt."""
    return any(entry["name"] == NEGATIVE_PROMPT for entry in model["parameter_schema"])


def image_input(model: Model) -> Parameter | None:
    """The input for the image that the model starts from."""
    return next((one for one in _described(model) if one.name == model["image_input"]), None)


def parameters_of(model: Model) -> list[Parameter]:
    """The model's inputs without the image it starts from and the negative prompt.

    Defaults that the schema does not describe are omitted; they still apply.
    """
    image = image_input(model)
    return [one for one in _described(model) if one != image and one.name != NEGATIVE_PROMPT]


def shared_parameters(models: Sequence[Model]) -> list[Parameter]:
    """Inputs that all of several models have, with the same values allowed and the same default."""
    if len(models) < 2:
        return []
    first, *others = map(parameters_of, models)
    return [one for one in first if all(_bare(one) in map(_bare, other) for other in others)]


def problem(parameter: Parameter, value: Any) -> str | None:
    """What is wrong with the value of an input, as a sentence without its name."""
    match parameter.kind:
        case "boolean":
            is_valid = isinstance(value, bool)
        case "choice":
            if value not in parameter.choices:
                return f"choose one of {', '.join(map(str, parameter.choices))}."
            is_valid = True
        case "text":
            is_valid = isinstance(value, str) and len(value) <= MAX_TEXT_CHARS
        case "file":
            is_valid = _is_image(value)
        case "files":
            is_valid = isinstance(value, list) and all(map(_is_image, value))
        case kind:
            is_valid = isinstance(value, int if kind == "integer" else int | float)
            is_valid = is_valid and not isinstance(value, bool)
    if not is_valid:
        kind = "image address" if parameter.kind in IMAGE_KINDS else parameter.kind
        return f"{str(value)[:60]!r} is not a valid {kind}."
    if parameter.min is not None and value < parameter.min:
        return f"is {value:g}; the minimum is {parameter.min:g}."
    if parameter.max is not None and value > parameter.max:
        return f"is {value:g}; the maximum is {parameter.max:g}."
    return None


def _is_image(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(IMAGE_ADDRESSES)


def _described(model: Model) -> list[Parameter]:
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
            required=bool(entry.get("required")),
        )
        for entry in model["parameter_schema"]
    ]


def _bare(parameter: Parameter) -> Parameter:
    """Without what is only said about it."""
    return replace(parameter, label="", help=None)
