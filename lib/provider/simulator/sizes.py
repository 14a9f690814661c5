"""The size of the images that a model makes of an input."""

import math
import re
from collections.abc import Mapping
from typing import Any

from lib.provider.simulator.models import Model

DEFAULT_SIDE = 1024
AREA_INPUTS = ("megapixels", "output_megapixels", "resolution", "size", "image_size")


def image_size(model: Model, given: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height in pixels."""
    defaults = {
        name: field["default"] for name, field in model.inputs.items() if "default" in field
    }
    values = defaults | {name: value for name, value in given.items() if value is not None}
    ratio, multiple = values.get("aspect_ratio"), model.size_rules.get("multiple", 1)
    if _uses_own_sides(model, values):
        width, height = (round(values[side] / multiple) * multiple for side in ("width", "height"))
        return width, height
    choices = model.inputs.get("aspect_ratio", {}).get("enum", ())
    listed = [_sides(values.get(name)) for name in ("resolution", "size")]
    chosen = next(filter(None, listed), None)
    if chosen and not ("Not set" in choices and _ratio(ratio)):
        return chosen
    numbers = _ratio(ratio) or (1, 1)
    area = next(filter(None, (_area(values.get(name)) for name in AREA_INPUTS)), None)
    usual = model.size_rules.get("megapixels", 1)
    scale = math.sqrt((area or usual) / usual)
    if ratio in model.size_rules.get("sizes", {}):
        width, height = model.size_rules["sizes"][ratio]
        return round(width * scale), round(height * scale)
    if "Not set" in choices:
        sizes = filter(None, map(_sides, model.inputs["size"]["enum"]))
        return min(sizes, key=lambda sides: _distance(sides, numbers))
    wide = math.sqrt(numbers[0] / numbers[1])
    side = DEFAULT_SIDE * math.sqrt(area or usual)
    return round(side * wide / 16) * 16, round(side / wide / 16) * 16


def _uses_own_sides(model: Model, values: Mapping[str, Any]) -> bool:
    if not {"width", "height"} <= model.inputs.keys() & values.keys():
        return False
    switches = [
        name
        for name in ("aspect_ratio", "size")
        if "custom" in model.inputs.get(name, {}).get("enum", ())
    ]
    return not switches or values.get(switches[0]) == "custom"


def _sides(text: Any) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d+)x(\d+)", str(text))
    return (int(found[1]), int(found[2])) if found else None


def _ratio(text: Any) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d+):(\d+)", str(text))
    return (int(found[1]), int(found[2])) if found else None


def _area(text: Any) -> float | None:
    """In units of 1024 x 1024 pixels."""
    if found := re.fullmatch(r"([\d.]+)(?: MP)?", str(text)):
        return float(found[1])
    found = re.fullmatch(r"(\d)K", str(text))
    return float(found[1]) ** 2 if found else None


def _distance(sides: tuple[int, int], ratio: tuple[int, int]) -> float:
    return abs(math.log(sides[0] * ratio[1] / (sides[1] * ratio[0])))
