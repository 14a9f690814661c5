"""What a model takes and makes, by its OpenAPI schema: inputs without references, in few words."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from lib.provider.answers import unexpected

MAX_INPUTS, MAX_CHOICES, MAX_PARTS, MAX_DEPTH = 100, 200, 5, 5
MAX_NAME, MAX_WORDS, MAX_SCHEMA = 100, 500, 50_000
"""Characters of a name or choice, of a title, description or text default, and of all inputs."""
MAX_SIDE = 100_000
"""Pixels. Wider bounds of a width or height are left out."""
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_COMPOSED = frozenset({"$ref", "allOf", "anyOf", "oneOf"})


def schemas_of(document: Any) -> Mapping[str, Any]:
    """The schemas of an OpenAPI document. Raises ProviderError if it has none."""
    found = document
    for name in ("components", "schemas"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise unexpected("has no schema")
    return found


def output_of(schemas: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The shape of the output, and what it is if not images."""
    published = schemas.get("Output")
    output = _resolved(published, schemas) if isinstance(published, dict) else {}
    items = output.get("items")
    of_list = isinstance(items, dict) and output.get("type") == "array"
    one = _resolved(items, schemas) if of_list else output
    if one.get("type") == "string":
        return (
            ("uri[]" if of_list else "uri", None) if one.get("format") == "uri" else (None, "text")
        )
    return None, "numbers" if one.get("type") in ("integer", "number", "boolean") else None


def inputs_of(schemas: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each input by name, in the form of models.input_schema. Raises ProviderError."""
    published = schemas.get("Input")
    properties = published.get("properties") if isinstance(published, dict) else None
    if not isinstance(published, dict) or not isinstance(properties, dict):
        raise unexpected("has no inputs")
    if len(properties) > MAX_INPUTS:
        raise unexpected(f"has {len(properties):,} inputs; the limit is {MAX_INPUTS}")
    required = published.get("required")
    inputs = {}
    for name, field in properties.items():
        if not _NAME.fullmatch(name) or not isinstance(field, dict):
            raise unexpected("has an input without a proper name or description")
        must = isinstance(required, list) and name in required
        inputs[name] = _described(name, field, schemas) | ({"required": True} if must else {})
    ordered = sorted(inputs.items(), key=lambda item: (item[1].get("x-order", MAX_INPUTS), item[0]))
    if (length := len(json.dumps(ordered))) > MAX_SCHEMA:
        raise unexpected(f"describes the inputs in {length:,} characters")
    return {name: field | {"x-order": place} for place, (name, field) in enumerate(ordered)}


def _described(name: str, field: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """An input in the form of models.input_schema. What it says beyond that is left out."""
    whole = _resolved(field, schemas)
    found = _values(name, whole, schemas)
    if whole.get("nullable") is True:
        found["nullable"] = True
    if _is_int(order := field.get("x-order")) and 0 <= order < MAX_INPUTS:
        found["x-order"] = order
    if whole.get("x-cog-secret") is True or whole.get("format") == "password":
        found["x-cog-secret"] = True
    elif _fits(default := field.get("default"), found):
        found["default"] = default
    # As Cog makes it of the name.
    automatic = name.replace("_", " ").title()
    for key in ("title", "description"):
        if (text := _words(field.get(key))) and text != automatic:
            found[key] = text
    return found


def _values(name: str, whole: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """What values of an input, or of the items of a list, are allowed."""
    found: dict[str, Any] = {}
    choices = whole.get("enum")
    if isinstance(choices, list) and choices:
        if len(choices) > MAX_CHOICES:
            raise unexpected(f"has {len(choices):,} choices of {name}; the limit is {MAX_CHOICES}")
        found["enum"] = [choice for choice in choices if _is_choice(choice)]
    kind = whole.get("type")
    if isinstance(kind, str) and kind in TYPES:
        found["type"] = kind
    elif "enum" in found and all(isinstance(choice, str) for choice in found["enum"]):
        found["type"] = "string"
    for bound in ("minimum", "maximum"):
        if _is_number(value := whole.get(bound)) and not (
            name in ("width", "height") and abs(value) > MAX_SIDE
        ):
            found[bound] = value
    if _is_int(length := whole.get("maxLength")) and 0 < length < 2**31:
        found["maxLength"] = length
    if whole.get("format") == "uri":
        found["format"] = "uri"
    items = whole.get("items")
    if kind == "array" and isinstance(items, dict):
        found["items"] = _values(f"items of {name}", _resolved(items, schemas), {})
    return found


def _resolved(field: Any, schemas: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """A schema together with those that it refers to or is composed of."""
    if not isinstance(field, dict):
        raise unexpected("has a schema that is not a JSON object")
    if depth > MAX_DEPTH:
        raise unexpected("has schemas that refer to each other too deeply")
    whole: dict[str, Any] = {}
    if (reference := field.get("$ref")) is not None:
        target = schemas.get(str(reference).removeprefix("#/components/schemas/"))
        whole |= _resolved(target, schemas, depth + 1)
    for part in _parts(field.get("allOf")):
        whole |= _resolved(part, schemas, depth + 1)
    alternatives = [*_parts(field.get("anyOf")), *_parts(field.get("oneOf"))]
    others = [each for each in alternatives if not _is_null(each)]
    if len(others) == 1:
        whole |= _resolved(others[0], schemas, depth + 1)
    if len(others) < len(alternatives):
        whole["nullable"] = True
    whole |= {key: value for key, value in field.items() if key not in _COMPOSED}
    kind = whole.get("type")
    if isinstance(kind, list):
        types = [each for each in kind if each != "null"]
        whole["type"] = types[0] if len(types) == 1 else None
        whole["nullable"] = whole.get("nullable") is True or len(types) < len(kind)
    return whole


def _parts(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return []
    if len(value) > MAX_PARTS:
        raise unexpected(f"has a schema of {len(value):,} parts")
    return value


def _is_null(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "null"


def _is_int(value: Any) -> TypeGuard[int]:
    return type(value) is int


def _is_number(value: Any) -> TypeGuard[float]:
    # Not a bool, which is an int to Python, and nothing that no database column holds.
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e30


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and _storable(value)


def _is_choice(value: Any) -> bool:
    return isinstance(value, bool) or _is_number(value) or _is_text(value, MAX_NAME)


def _storable(text: str) -> bool:
    """Whether PostgreSQL can keep it: neither NUL nor half a surrogate pair."""
    return text.replace("\n", " ").isprintable()


def _fits(value: Any, field: Mapping[str, Any]) -> bool:
    """Whether a default is of the type of its input."""
    if isinstance(value, list):
        return field.get("type") == "array" and all(_is_choice(item) for item in value)
    if not (_is_choice(value) or _is_text(value, MAX_WORDS)):
        return False
    types = TYPES.get(str(field.get("type")), (str, int, float))
    return isinstance(value, types) and isinstance(value, bool) is (bool in types)


def _words(value: Any) -> str:
    """Text on one line, cut where it is long; empty for anything else."""
    if not isinstance(value, str):
        return ""
    text = " ".join(value[: 4 * MAX_WORDS].split())
    text = "".join(letter for letter in text if letter.isprintable())
    return text if len(text) <= MAX_WORDS else f"{text[: MAX_WORDS - 1]}…"
