"""What a model takes, how that differs from what is stored, and saving it."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lib.database import Connection, load
from lib.provider import PublishedModel

Field = Mapping[str, Any]
"""An input, in the form of models.input_schema."""
Inputs = Mapping[str, Field]
OURS = ("title", "description", "enum_partial")
"""What we may know of an input beyond what the provider publishes."""
COMPARED = (
    *("type", "format", "items", "enum", "minimum", "maximum", "maxLength", "default"),
    *("nullable", "required", "x-cog-secret"),
)
UNKNOWN_STEP = 16
"""Pixels. Every known model takes a width and height that are multiples of it."""
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """How a published model differs from the stored one; names and sentences for operators."""

    added: list[str]
    removed: list[str]
    changed: dict[str, tuple[str, str]]
    """Inputs whose values changed: how they were described, and how they are now."""
    model: list[str]
    """Changes of version and output, a sentence each."""
    unfit: list[str]
    """Default parameters that no longer fit and will be removed, a sentence each."""
    lost: list[str]
    """Operator-only inputs that no longer exist."""

    @property
    def any(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.removed or self.changed or self.model or self.unfit)


def type_of(field: Field) -> str:
    """The type of an input in words, such as "whole number"."""
    if field.get("x-cog-secret"):
        return "secret"
    if "enum" in field:
        return "choice"
    if field.get("format") == "uri":
        return "address"
    if field.get("type") == "array":
        item = type_of(field["items"]) if field.get("items") else "value"
        return "list of addresses" if item == "address" else f"list of {item}s"
    return _TYPES.get(str(field.get("type")), "any")


def allowed_of(field: Field) -> str:
    """The values that an input takes, such as "1 to 4"; empty if its type says all."""
    if choices := field.get("enum") or field.get("enum_partial"):
        return ", ".join(map(str, choices))
    least, most, length = (field.get(key) for key in ("minimum", "maximum", "maxLength"))
    if least is not None and most is not None:
        return f"{least:g} to {most:g}"
    if least is not None:
        return f"at least {least:g}"
    if most is not None:
        return f"at most {most:g}"
    return f"at most {length:,} characters" if length else ""


def default_of(field: Field) -> str:
    """The default of an input, or "required"."""
    if "default" in field:
        default = field["default"]
        return default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    return "required" if field.get("required") else ""


def description_of(field: Field) -> str:
    """An input on one line: type, allowed values, default."""
    default = f"default {default_of(field)}" if "default" in field else default_of(field)
    return ", ".join(filter(None, (type_of(field), allowed_of(field), default)))


def by_order(inputs: Inputs) -> dict[str, Field]:
    """Stored inputs in the order of the schema, which the database does not keep."""
    return dict(sorted(inputs.items(), key=lambda item: (item[1].get("x-order", 0), item[0])))


def merged(stored: Inputs | None, published: Inputs) -> dict[str, dict[str, Any]]:
    """The published inputs, with what only we know of them."""
    known = stored or {}
    inputs = {}
    for name, field in published.items():
        ours = {key: known[name][key] for key in OURS if key in known.get(name, {})}
        if "enum" in field:
            ours.pop("enum_partial", None)
        inputs[name] = ours | dict(field)
    return inputs


def stored_model(connection: Connection, model_id: str) -> dict[str, Any] | None:
    """The model in the models table; None if it is not there."""
    row: dict[str, Any] | None = load("model_schemas").stored(connection, id=model_id)
    return row


def server_of(stored: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """The provider and address of the server that runs a stored model; None without its own."""
    if stored is None or stored["provider_url"] is None:
        return None
    return stored["provider"], stored["provider_url"]


def check_server(connection: Connection, provider: str, url: str) -> None:
    """Raise QueryError with sqlstate 22023 for an address that no model may have."""
    load("model_schemas").check_server(connection, provider=provider, url=url)


def kind_of(model: PublishedModel) -> str:
    """Where a model runs, and in which version, for reading."""
    if model.provider_url:
        return f"{model.provider} at {model.provider_url}"
    return "official" if model.official else f"version {short(model.version)}"


def compare(
    connection: Connection, stored: Mapping[str, Any], published: PublishedModel
) -> Changes:
    """How a published model differs from the stored one."""
    before = by_order(stored["input_schema"] or {})
    after = merged(before, published.inputs)
    rows = load("model_schemas").unfit_defaults(
        connection, id=published.id, schema=json.dumps(after)
    )
    model = []
    if stored["version"] != published.version:
        model.append(f"Version: {short(stored['version'])} → {short(published.version)}.")
    if (stored["provider"], stored["provider_url"]) != (published.provider, published.provider_url):
        before_it, now = stored["provider_url"] or stored["provider"], published.provider_url
        model.append(f"Server: {before_it} → {now or published.provider}.")
    if published.output_shape not in (None, stored["output_shape"]):
        model.append(
            f"Output: {output_of(stored['output_shape'])} → {output_of(published.output_shape)}."
        )
    return Changes(
        added=[name for name in after if name not in before],
        removed=[name for name in before if name not in after],
        changed={
            name: (description_of(before[name]), description_of(field))
            for name, field in after.items()
            if name in before and _values(before[name]) != _values(field)
        },
        model=model,
        unfit=[f"{row['field']} {row['problem']}." for row in rows],
        lost=[name for name in stored["operator_fields"] if name in before and name not in after],
    )


def _values(field: Field) -> dict[str, Any]:
    return {key: field[key] for key in COMPARED if key in field}


def short(version: str | None) -> str:
    """A version for reading; "none (official)" for an official model."""
    return f"{version[:12]}…" if version else "none (official)"


def output_of(shape: str | None) -> str:
    """An output shape in words."""
    return {"uri": "one image", "uri[]": "a list of images"}.get(str(shape), "not published")


def reserved(connection: Connection, names: Iterable[str]) -> set[str]:
    """Those of some inputs that no request of a user may set."""
    rows = load("model_schemas").reserved(connection, names=list(names))
    return {row["name"] for row in rows}


def save(
    connection: Connection,
    actor: str,
    stored: Mapping[str, Any] | None,
    published: PublishedModel,
    *,
    display_name: str,
) -> None:
    """Add a model, or replace the schema of the stored one; recorded in the audit log.

    Default parameters that no longer fit are removed. `display_name` is for a new model. Raises
    QueryError with sqlstate 22023, whose message says what is invalid.
    """
    inputs = merged(stored["input_schema"] if stored else None, published.inputs)
    load("model_schemas").save(
        connection,
        actor=actor,
        id=published.id,
        display_name=display_name,
        version=published.version,
        schema=json.dumps(inputs),
        output_shape=published.output_shape,
        size_rules=json.dumps(_size_rules(inputs)),
        provider=published.provider,
        provider_url=published.provider_url,
    )


def _size_rules(inputs: Inputs) -> dict[str, int]:
    """What a schema does not say about its width and height: models take multiples only."""
    if not {"width", "height"} <= inputs.keys():
        return {}
    choices = [value for side in ("width", "height") for value in inputs[side].get("enum", ())]
    sides = [value for value in choices if isinstance(value, int) and value > 0]
    return {"multiple": math.gcd(*sides) if sides else UNKNOWN_STEP}
