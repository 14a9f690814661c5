"""Models as the provider publishes them: their inputs without references, whatever comes."""

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from lib.provider import ProviderError
from lib.provider.simulator.models import MODELS

SDXL = "stability-ai/sdxl"
URI = {"type": "string", "format": "uri"}
PROMPT = {"type": "string", "title": "Prompt", "x-order": 0}


def published(schemas: Any, **changes: Any) -> dict[str, Any]:
    """An answer of models.get."""
    version = {"id": "a" * 64, "openapi_schema": {"components": {"schemas": schemas}}}
    model = {"owner": "an", "name": "artist", "is_official": False, "latest_version": version}
    return model | changes


def with_inputs(properties: Any, output: Any = URI, **schemas: Any) -> dict[str, Any]:
    return {"Input": {"properties": properties, "required": ["prompt"]}, "Output": output} | schemas


@pytest.fixture
def read(serve, connect):
    async def reading(*answers: Any, version: str | None = None):
        responses = [
            answer if isinstance(answer, Response) else JSONResponse(answer) for answer in answers
        ]
        client = connect("r8_test", serve(*responses).base_url, max_wait=0)
        return await client.model("an/artist", version=version)

    return reading


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
async def test_every_model_is_read_as_it_was_described(replicate, model):
    found = await replicate.model(model.id)
    ours = ("title", "enum_partial")
    # What the provider does not publish, or makes of the name.
    assert {name: without(field, ours) for name, field in found.inputs.items()} == {
        name: without(field, ours) for name, field in model.inputs.items()
    }
    assert list(found.inputs) == sorted(
        model.inputs, key=lambda name: model.inputs[name]["x-order"]
    )
    assert (found.id, found.version, found.official) == (
        model.id,
        model.version,
        model.version is None,
    )
    assert found.output_shape == ("uri" if model.single_output else "uri[]")
    assert found.makes is None


def without(field: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key not in keys}


async def test_a_version_of_a_community_model_is_read(replicate):
    version = MODELS[SDXL].version
    assert (await replicate.model(SDXL, version=version)).version == version
    for other in ("0" * 64, "latest", "../../account"):
        with pytest.raises(ProviderError, match="no ") as refusal:
            await replicate.model(SDXL, version=other)
        assert refusal.value.code == "model_not_found"


@pytest.mark.parametrize("name", ["nobody/nothing", "../account", "stability-ai", ""])
async def test_an_unknown_model_is_not_found(replicate, name):
    with pytest.raises(ProviderError, match="no model") as refusal:
        await replicate.model(name)
    assert refusal.value.code == "model_not_found"


async def test_references_are_resolved_and_what_no_form_needs_is_left_out(read):
    fields = {
        "later": {"type": "integer", "minimum": 1, "maximum": 4, "default": 9, "x-order": 2},
        "prompt": PROMPT,
        "style": {
            "allOf": [{"$ref": "#/components/schemas/style"}],
            "default": "photo",
            "description": " The\nlook. ",
            "x-order": 1,
        },
        "mode": {"anyOf": [{"$ref": "#/components/schemas/mode"}, {"type": "null"}]},
        "size": {"type": ["integer", "null"], "default": None},
        "key": {"type": "string", "format": "password", "default": "sk-live"},
        "images": {"type": "array", "items": URI, "default": [], "x-order": 3},
        "flag": {"type": "boolean", "default": 1},
    }
    style = {
        "enum": ["photo", "ink"],
        "type": "string",
        "title": "style",
        "description": "An enum.",
    }
    found = await read(published(with_inputs(fields, style=style, mode={"enum": ["a", "b"]})))
    assert found.inputs == {
        "prompt": {"type": "string", "required": True, "x-order": 0},
        "style": {
            "type": "string",
            "enum": ["photo", "ink"],
            "default": "photo",
            "description": "The look.",
            "x-order": 1,
        },
        "later": {"type": "integer", "minimum": 1, "maximum": 4, "default": 9, "x-order": 2},
        "images": {"type": "array", "items": URI, "default": [], "x-order": 3},
        "flag": {"type": "boolean", "x-order": 4},
        "key": {"type": "string", "x-cog-secret": True, "x-order": 5},
        "mode": {"type": "string", "enum": ["a", "b"], "nullable": True, "x-order": 6},
        "size": {"type": "integer", "nullable": True, "x-order": 7},
    }


@pytest.mark.parametrize(
    ("output", "example", "shape", "makes"),
    [
        (URI, None, "uri", None),
        ({"type": "array", "items": URI, "x-cog-array-type": "iterator"}, None, "uri[]", None),
        ({"$ref": "#/components/schemas/Files"}, None, "uri[]", None),
        ({"title": "Output"}, None, None, None),
        ({"type": "string"}, None, None, "text"),
        ({"type": "array", "items": {"type": "string"}}, None, None, "text"),
        ({"type": "number"}, None, None, "numbers"),
        (URI, "https://replicate.delivery/a/out.mp4?x=1", "uri", "mp4 files"),
        (URI, ["https://replicate.delivery/a/out.WEBP"], "uri", None),
        (URI, "http://[", "uri", None),
    ],
)
async def test_what_a_model_makes(read, output, example, shape, makes):
    schemas = with_inputs({"prompt": PROMPT}, output, Files={"type": "array", "items": URI})
    found = await read(published(schemas, default_example={"output": example}))
    assert (found.output_shape, found.makes) == (shape, makes)


DEEP = {f"S{n}": {"$ref": f"#/components/schemas/S{n + 1}"} for n in range(50)}
MANY = {f"f{n}": {"type": "string"} for n in range(200)}
LONG = {f"f{n}": {"enum": ["x" * 90 + str(c) for c in range(100)]} for n in range(10)}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response(b"{" * 100_000), "is not JSON"),
        (Response(b'{"a":' + b"[" * 200_000), "is not JSON"),
        (Response(b" " * 11_000_000), "larger than 10 MB"),
        ([], "is not a JSON object"),
        ({}, "no model owner and name"),
        (published({}, owner="../..", name="account"), "no model owner and name"),
        (published({}, latest_version=None), "no version that can be run"),
        (published({}, latest_version="x"), "no version id"),
        (published([]), "has no schema"),
        (published({}), "has no inputs"),
        (published(with_inputs([])), "has no inputs"),
        (published(with_inputs({"prompt": "text"})), "without a proper name"),
        (published(with_inputs({"<b>": PROMPT})), "without a proper name"),
        (published(with_inputs(MANY)), "200 inputs"),
        (published(with_inputs({"a": {"enum": list(range(201))}})), "201 choices"),
        (published(with_inputs(LONG)), "characters"),
        (published(with_inputs({"a": {"$ref": "#/components/schemas/S0"}}, **DEEP)), "too deeply"),
        (
            published(
                with_inputs(
                    {"a": {"$ref": "#/components/schemas/S"}},
                    S={"allOf": [{"$ref": "#/components/schemas/S"}] * 5},
                )
            ),
            "too deeply",
        ),
        (published(with_inputs({"a": {"$ref": "#/x"}})), "not a JSON object"),
        (published(with_inputs({"a": {"allOf": [PROMPT] * 6}})), "6 parts"),
    ],
)
async def test_an_answer_that_is_no_model_is_refused_in_words(read, answer, words):
    with pytest.raises(ProviderError, match=words):
        await read(answer)


async def test_what_the_database_cannot_hold_is_left_out(read):
    odd: dict[str, Any] = {
        "type": {"a": 1},
        "minimum": True,
        "maximum": 1e300,
        "maxLength": -1,
        "enum": [["a"], "b\x00", "good", {}],
        "default": "\ud800",
        "title": "a\x00b",
        "description": ["x"],
        "x-order": 10**30,
        "nullable": "yes",
    }
    fields = {"prompt": PROMPT, "odd": odd, "width": {"type": "integer", "maximum": 10**9}}
    body = json.dumps(published(with_inputs(fields))).replace("1e+300", "1e999")
    found = await read(Response(body))
    assert found.inputs["odd"] == {"enum": ["good"], "type": "string", "title": "ab", "x-order": 1}
    assert found.inputs["width"] == {"type": "integer", "x-order": 2}
