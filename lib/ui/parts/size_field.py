"""The size that the models of a test run are asked for."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from lib.ops.test_runs.inputs import image_input
from lib.ops.test_runs.sizes import Model, bounds, size_choices
from lib.ui.parts.parameter_fields import field_state, fill, filled

CUSTOM_SIZE = "Custom"
INPUT_SIZE = "Same as input image"


def saved_size(models: Sequence[Model], sides: tuple[int | None, int | None]) -> dict[str, Any]:
    """The values of the fields for a size."""
    if sides == (None, None):
        return {"run size": INPUT_SIZE} if any(map(image_input, models)) else {}
    choices = size_choices(models)
    found = next((label for label in choices if choices[label] == sides), None)
    if found:
        return {"run size": found}
    return {"run size": CUSTOM_SIZE, "run width": sides[0], "run height": sides[1]}


def size_field(models: Sequence[Model], *, has_image: bool) -> tuple[int | None, int | None]:
    """Draw the choice of a size; None for both sides where the models decide."""
    choices, limits = size_choices(models), bounds(models)
    options = [*choices, *([CUSTOM_SIZE] if limits else [])]
    if not options:
        return None, None
    if has_image:
        options.insert(0, INPUT_SIZE)
    # Other models or images than before: the same ratio, if it is still offered.
    before = st.session_state.get("run size")
    changed = has_image != st.session_state.get("run has image", False)
    st.session_state["run has image"] = has_image
    if before and (before not in options or (changed and "run size" not in filled())):
        ratio = before.partition(" ")[0]
        same = [label for label in options if label.partition(" ")[0] == ratio and not has_image]
        fill({"run size": (same or options)[0]})
    size = st.selectbox("Size", options, **field_state("run size"), width=210)
    if size == INPUT_SIZE:
        return None, None
    if size in choices or not limits:
        return choices[size]
    return _side("Width", *limits[0]), _side("Height", *limits[1])


def keep_within(key: str, least: int, most: int) -> None:
    """Keep the value of a number field within bounds that changed with the models."""
    value = st.session_state.get(key)
    if value is not None and not least <= value <= most:
        fill({key: min(max(value, least), most)})


def _side(label: str, least: int, most: int) -> int:
    key = f"run {label.lower()}"
    keep_within(key, least, most)
    usual = min(max(1024, least), most)
    side = st.number_input(label, least, most, **field_state(key, value=usual), step=64, width=130)
    return side or 0
