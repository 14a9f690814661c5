"""The control that fits an input of a model, by its schema."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lib.formats import escaped
from lib.ops.test_runs.inputs import IMAGE_KINDS, Parameter, problem
from lib.ui.parts.image_field import fill_images, image_field

MAX_SLIDER_STEPS = 1000
"""A wider range is typed: a slider could not be set to each of its values."""
COLUMN_WIDTH = 180


def fill(values: Mapping[str, Any]) -> None:
    """Set the values of fields by their keys; call this before the fields are drawn."""
    st.session_state.update(values)
    filled().update(values)


def filled() -> set[str]:
    """Keys of the fields that were filled in this run of the page."""
    found: set[str] = st.session_state.setdefault("filled", set())
    return found


def field_state(key: str, **default: Any) -> dict[str, Any]:
    """Key of a field that keeps its value on other tabs and pages, and its default.

    Streamlit warns if a widget has both a default and a value in the session state.
    """
    kept = {"key": key, "persist_state": "session"}
    return kept if key in filled() else kept | default


def parameter_key(parameter: str, models: Sequence[str]) -> str:
    """Key of the field of an input, shared by all of `models`."""
    return f"{parameter} of {', '.join(models)}"


def fill_parameters(
    parameters: Sequence[Parameter], models: Sequence[str], values: Mapping[str, Any]
) -> None:
    """Fill the fields of some inputs with earlier values, if they are still allowed.

    An input without one gets its default, as it had then.
    """
    for one in parameters:
        key, value = parameter_key(one.name, models), values.get(one.name)
        if one.kind in IMAGE_KINDS:
            fill_images(key, image_list(value))
        elif value is not None and problem(one, value) is None:
            fill({key: value})
        else:
            fill({key: _default(one)})


def parameter_fields(parameters: Sequence[Parameter], models: Sequence[str]) -> dict[str, Any]:
    """Draw the fields of some inputs; the values that are set, by name.

    An image is an address, a reference, or a file that is still to be stored.
    """
    values: dict[str, Any] = {}
    with st.grid("auto", min_column_width=COLUMN_WIDTH):
        for one in parameters:
            if one.kind not in IMAGE_KINDS:
                values[one.name] = _value(one, parameter_key(one.name, models))
    for one in parameters:
        if one.kind in IMAGE_KINDS:
            images = image_field(
                one.label,
                parameter_key(one.name, models),
                several=one.kind == "files",
                help=_help(one),
            )
            values[one.name] = images_value(one, images)
    return {name: value for name, value in values.items() if value is not None}


def image_list(value: Any) -> list[str]:
    """The images in the value of an image input."""
    return [value] if isinstance(value, str) else list(value or [])


def images_value(parameter: Parameter, images: Sequence[Any]) -> Any:
    """The value of an image input: all images or the first, None without any."""
    if not images:
        return None
    return list(images) if parameter.kind == "files" else images[0]


def _default(parameter: Parameter) -> Any:
    """What a new field holds."""
    default = parameter.default
    match parameter.kind:
        case "boolean":
            return bool(default)
        case "choice":
            return default if default in parameter.choices else None
        case "integer" | "number":
            number = int if parameter.kind == "integer" else float
            return None if default is None else number(default)
        case _:
            return default or ""


def _value(parameter: Parameter, key: str) -> Any:
    label, default = escaped(parameter.label), _default(parameter)
    match parameter.kind:
        case "boolean":
            return st.toggle(label, help=_help(parameter), **field_state(key, value=default))
        case "choice":
            choices = list(parameter.choices)
            index = None if default is None else choices.index(default)
            return st.selectbox(
                label,
                choices,
                help=_help(parameter),
                placeholder="Not set",
                **field_state(key, index=index),
            )
        case "integer" | "number":
            return _number(parameter, key)
        case _:
            text = st.text_input(label, help=_help(parameter), **field_state(key, value=default))
            return text or None


def _number(parameter: Parameter, key: str) -> Any:
    """A slider between bounds, else a number field."""
    number = int if parameter.kind == "integer" else float
    least, most = (
        None if bound is None else number(bound) for bound in (parameter.min, parameter.max)
    )
    value = _default(parameter)
    label, help = escaped(parameter.label), _help(parameter)
    span = None if least is None or most is None else most - least
    step = 1 if parameter.kind == "integer" else _step(span)
    if value is not None and span and span / step <= MAX_SLIDER_STEPS:
        chosen = st.slider(
            label,
            least,
            most,
            step=step,
            format="%.2f" if step == 0.01 else None if step == 1 else "%.1f",
            help=help,
            **field_state(key, value=value),
        )
        # Steps add up to a little more or less.
        return chosen if parameter.kind == "integer" else round(chosen, 4)
    return st.number_input(
        label,
        least,
        most,
        step=step,
        help=help,
        placeholder="Not set",
        **field_state(key, value=value),
    )


def _step(span: float | None) -> float:
    """The step of a number that is not whole, by its range."""
    if span is None:
        return 0.5
    return 0.01 if span <= 1 else 0.1 if span <= 20 else 0.5


def _help(parameter: Parameter) -> str | None:
    return escaped(parameter.help) if parameter.help else None
