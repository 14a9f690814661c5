"""The sizes that a test run can ask of its models."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Model = Mapping[str, Any]
"""A row of the query `models` of queries/generate.sql."""
Sides = tuple[int, int]
"""Width and height in pixels."""
USUAL: dict[str, Sides] = {
    "1:1": (1024, 1024),
    "2:3": (832, 1216),
    "3:2": (1216, 832),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "Small": (512, 512),
}
"""What is offered of a model that makes any size."""
MIN_SIDE, MAX_SIDE = 64, 8192
MATCH_INPUT_IMAGE = "match_input_image"
"""The aspect_ratio of models that make an image like their input image."""


def bounds(models: Sequence[Model]) -> tuple[Sides, Sides] | None:
    """Least and most width, and least and most height, that all of the models make.

    None unless each makes any size within its bounds.
    """
    if not all(map(_makes_any, models)):
        return None
    width, height = (
        (
            max([MIN_SIDE, *_limits(models, side, "minimum")]),
            min([MAX_SIDE, *_limits(models, side, "maximum")]),
        )
        for side in ("width", "height")
    )
    return (width, height) if width[0] <= width[1] and height[0] <= height[1] else None


def size_choices(models: Sequence[Model]) -> dict[str, Sides]:
    """Sizes that all of the models make, the most usual first: label to width and height.

    A model that takes no size limits nothing. Empty if none of them takes one.
    """
    listed = [model for model in models if model["sizes"]]
    fixed = [model for model in listed if not _makes_any(model)]
    if len(models) == 1 and listed:
        found = _sizes_of(listed[0])
    elif fixed:
        first, *others = map(_by_ratio, fixed)
        found = {
            f"{ratio} ({width} x {height})": (width, height)
            for ratio, (width, height) in first.items()
            if all(ratio in sizes for sizes in others)
        }
    elif not models or any(map(_makes_any, models)):
        limits = bounds([model for model in models if _makes_any(model)])
        found = {
            f"{name} ({width} x {height})": (width, height)
            for name, (width, height) in USUAL.items()
            if limits and _within(width, limits[0]) and _within(height, limits[1])
        }
    else:
        return {}
    usual = min(found, key=lambda label: _distance(found[label]), default=None)
    return {usual: found[usual], **found} if usual else {}


def _makes_any(model: Model) -> bool:
    return not model["has_schema"] or bool(model["width"] and model["height"])


def _limits(models: Sequence[Model], side: str, bound: str) -> list[int]:
    found = [(model[side] or {}).get(bound) for model in models]
    return [int(limit) for limit in found if limit is not None]


def _within(pixels: int, limits: Sides) -> bool:
    return limits[0] <= pixels <= limits[1]


def _sizes_of(model: Model) -> dict[str, Sides]:
    """All sizes that a model lists, those that it makes exactly before the others."""
    limits = bounds([model])
    found: dict[Sides, str] = {}
    for size in sorted(model["sizes"], key=lambda size: not size["exact"]):
        width, height, exact = size["width"], size["height"], size["exact"]
        if limits and _within(width, limits[0]) and _within(height, limits[1]):
            step, exact = model["multiple"], True
            width, height = round(width / step) * step, round(height / step) * step
        found.setdefault((width, height), _label(size["inputs"], width, height, exact))
    return {label: sides for sides, label in found.items()}


def _label(inputs: Mapping[str, Any], width: int, height: int, exact: bool) -> str:
    ratio, about = inputs.get("aspect_ratio"), "" if exact else "about "
    return f"{ratio} ({about}{width} x {height})" if ratio else f"{about}{width} x {height}"


def _by_ratio(model: Model) -> dict[str, Sides]:
    """The size of each ratio whose area is the most usual."""
    found: dict[str, Sides] = {}
    for size in model["sizes"]:
        ratio, sides = size["inputs"].get("aspect_ratio"), (size["width"], size["height"])
        if ratio and (ratio not in found or _area(sides) < _area(found[ratio])):
            found[ratio] = sides
    return found


def _area(sides: Sides) -> float:
    """How far the area is from the usual one."""
    return abs(math.log(sides[0] * sides[1] / (1024 * 1024)))


def _distance(sides: Sides) -> float:
    """How far a size is from the usual one."""
    return _area(sides) + abs(math.log(sides[0] / sides[1]))
