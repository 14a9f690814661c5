"""The schemas of the models, as Replicate publishes them and as it validates inputs."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema

from lib.provider.simulator.models import MODELS, Model
from lib.provider.simulator.responses import Problem, invalid_input

JSON_SCHEMA_KEYS = {"type", "format", "items", "enum", "minimum", "maximum", "maxLength"}
PUBLISHED_KEYS = JSON_SCHEMA_KEYS | {
    *("title", "description", "default", "nullable", "x-order", "x-cog-secret"),
}
OURS = {"required", "enum_partial"}
"""Keys of models.input_schema that are not JSON Schema's."""
_GIVEN = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}


def openapi(model: Model) -> dict[str, Any]:
    """The openapi_schema of a model's version; choices are schemas of their own, referred to."""
    schemas: dict[str, Any] = {
        "Input": {
            "type": "object",
            "title": "Input",
            "required": [name for name, field in model.inputs.items() if field.get("required")],
            "properties": {name: _property(name, field) for name, field in model.inputs.items()},
        },
        "Output": {"type": "string", "title": "Output", "format": "uri"}
        if model.single_output
        else {
            "type": "array",
            "title": "Output",
            "items": {"type": "string", "format": "uri"},
        },
    }
    for name, field in model.inputs.items():
        if "enum" in field:
            schemas[name] = {
                "enum": field["enum"],
                "type": field["type"],
                "title": name,
                "description": "An enumeration.",
            }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": schemas},
    }


def _property(name: str, field: Mapping[str, Any]) -> dict[str, Any]:
    title = {"title": name.replace("_", " ").title()}
    published = {key: value for key, value in field.items() if key in PUBLISHED_KEYS}
    if "enum" not in field:
        return title | published
    beside = {key: published[key] for key in published.keys() - {"type", "enum", "title"}}
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **beside}


def json_schema(model: Model) -> dict[str, Any]:
    """What an input of the model is validated against; inputs that it does not know are dropped."""
    return {
        "type": "object",
        "required": [name for name, field in model.inputs.items() if field.get("required")],
        "properties": {name: _validated(field) for name, field in model.inputs.items()},
    }


def _validated(field: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in field.items() if key in JSON_SCHEMA_KEYS}
    if field.get("nullable"):
        schema["type"] = [field["type"], "null"]
        if "enum" in field:
            schema["enum"] = [*field["enum"], None]
    return schema


@cache
def _validator(model_id: str) -> Any:
    return jsonschema.Draft202012Validator(json_schema(MODELS[model_id]))


def validated_input(model: Model, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The input in a request's body. Raises Problem naming every invalid field."""
    given = body.get("input")
    if not isinstance(given, dict):
        raise invalid_input([("required", "", "input is required")])
    errors = sorted(_validator(model.id).iter_errors(given), key=lambda e: [*map(str, e.path)])
    if errors:
        raise _problem(errors)
    return given


def _problem(errors: list[Any]) -> Problem:
    return invalid_input([_invalid_field(error) for error in errors])


def _invalid_field(error: Any) -> tuple[str, str, str]:
    """Type, field and description, in the words of gojsonschema."""
    field = ".".join(["input", *map(str, error.path)])
    limit = error.validator_value
    match error.validator:
        case "required":
            missing = next(name for name in limit if name not in error.instance)
            return "required", field, f"{missing} is required"
        case "enum":
            choices = ", ".join(json.dumps(choice) for choice in limit if choice is not None)
            return "enum", field, f"{field} must be one of the following: {choices}"
        case "minimum":
            return "number_gte", field, f"Must be greater than or equal to {limit}"
        case "maximum":
            return "number_lte", field, f"Must be less than or equal to {limit}"
        case "maxLength":
            return "string_lte", field, f"String length must be less than or equal to {limit}"
        case _:
            expected = limit if isinstance(limit, str) else limit[0]
            given = _GIVEN.get(type(error.instance), "number")
            if isinstance(error.instance, int) and given == "number":
                given = "integer"
            return (
                "invalid_type",
                field,
                f"Invalid type. Expected: {expected}, given: {given}",
            )
