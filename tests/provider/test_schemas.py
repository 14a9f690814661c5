"""What the database lets through is what Replicate takes, for every shipped model."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib.database import connect
from lib.database.pool import Connection
from lib.provider.simulator.models import SHIPPED, Model
from lib.provider.simulator.schemas import json_schema
from lib.provider.simulator.server import Simulator
from lib.provider.simulator.sizes import image_size

NEUTRAL = {"width": 1024, "height": 576, "seed": 7, "num_outputs": 2}
ODD = [None, True, False, 0, 1, -1, 1.0, 0.5, 9000, "", "1", "1:1", [], [1], [1.5], ["a"], [None]]
ADDRESS = "https://pictures.example/fox.png"
EACH = pytest.mark.parametrize("model", SHIPPED.values(), ids=list(SHIPPED))


def required(model: Model) -> dict[str, Any]:
    """The least that a model takes."""
    files = [name for name, field in model.inputs.items() if "format" in field]
    needed = {name: ADDRESS for name in files if model.inputs[name].get("required")}
    return needed | ({"prompt": "A fox"} if "prompt" in model.inputs else {})


OF_PROMPTS = [model for model in SHIPPED.values() if list(required(model)) == ["prompt"]]
EACH_OF_PROMPTS = pytest.mark.parametrize(
    "model", OF_PROMPTS, ids=[model.id for model in OF_PROMPTS]
)


@pytest.fixture(scope="module")
def database_of_file(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection


def values(field: Mapping[str, Any]) -> list[Any]:
    """Values that an input may allow or not: its choices, at its bounds, and odd ones."""
    found: list[Any] = [*field.get("enum", ()), field.get("default"), *ODD]
    for bound in (field.get("minimum"), field.get("maximum")):
        if bound is not None:
            found += [bound, bound - 1, bound + 1, float(bound), bound + 0.5]
    if "maxLength" in field:
        found += ["é" * field["maxLength"], "é" * (field["maxLength"] + 1)]
    return found


def known(model: Model) -> dict[str, list[Any]]:
    """Values by input. Secrets and addresses aside, which only we refuse."""
    return {
        name: values(field)
        for name, field in model.inputs.items()
        if not ({"x-cog-secret", "format"} & field.keys())
        and "format" not in field.get("items", {})
    }


def combinations(model: Model) -> Iterator[dict[str, Any]]:
    """Each value alone, and all inputs at once with values drawn for each."""
    draw = Random(model.id)
    inputs = known(model)
    yield {}
    for name, each in inputs.items():
        for value in each:
            yield required(model) | {name: value}
    for _ in range(100):
        chosen = [name for name in inputs if draw.random() < 0.5]
        files = required(model).keys() - inputs.keys()
        given_files = {name: ADDRESS for name in sorted(files) if draw.random() < 0.8}
        yield given_files | {name: draw.choice(inputs[name]) for name in chosen}


@EACH
def test_an_input_passes_the_database_exactly_when_it_passes_json_schema(
    model: Model, database_of_file: Connection
) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(model))
    inputs = list(combinations(model))
    rows = database_of_file.execute(
        "select input_problems(m.input_schema, i.given) as found"
        " from models m, jsonb_array_elements(%s) with ordinality as i (given, place)"
        " where m.id = %s order by i.place",
        [json.dumps(inputs), model.id],
    ).fetchall()
    passed = 0
    for given_input, row in zip(inputs, rows, strict=True):
        wrong = {
            str(error.path[0]) if error.path else re.findall(r"'(\w+)'", error.message)[0]
            for error in validator.iter_errors(given_input)
        }
        assert {problem["field"] for problem in row["found"]} == wrong, given_input
        passed += not wrong
    assert len(inputs) / 10 < passed < len(inputs) * 9 / 10


def resolved(db: Connection, model: Model, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = db.execute(
        "select r.parameters, r.size, r.notices from models m,"
        " resolve_input(m, 'A fox', %s, false) r where m.id = %s",
        [json.dumps(given), model.id],
    ).fetchone()
    return found


@EACH_OF_PROMPTS
def test_a_neutral_request_becomes_an_image_of_the_size_that_was_announced(
    model: Model, database_of_file: Connection, simulator: Simulator
) -> None:
    found = resolved(database_of_file, model, **NEUTRAL)
    sent = found["parameters"] | {"prompt": "A fox"}
    assert sent.keys() <= model.inputs.keys()
    with httpx.Client(
        base_url=simulator.base_url,
        headers={"authorization": f"Bearer {simulator.token}", "prefer": "wait"},
        timeout=30,
    ) as http:
        path = "predictions" if model.version else f"models/{model.id}/predictions"
        body = {"input": sent} | ({"version": model.version} if model.version else {})
        answer = http.post(f"/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text
        output = answer.json()["output"]
        urls = [output] if isinstance(output, str) else output
        image = Image.open(io.BytesIO(http.get(urls[0]).content))
    expected = found["size"]["expected"]
    assert image.width == pytest.approx(expected["width"], rel=0.02)
    assert image.height == pytest.approx(expected["height"], rel=0.02)
    count = {"num_outputs", "number_of_images", "max_images"} & model.inputs.keys()
    assert len(urls) == (2 if count else 1)
    assert any("num_outputs" in notice for notice in found["notices"]) is (not count)
    assert any("seed" in notice for notice in found["notices"]) is ("seed" not in model.inputs)
    same = (expected["width"], expected["height"]) == (1024, 576)
    assert any("The image will be" in notice for notice in found["notices"]) is (not same)


@EACH_OF_PROMPTS
def test_every_size_is_near_what_was_asked_and_is_announced(
    model: Model, database_of_file: Connection
) -> None:
    sizes = st.fixed_dictionaries(
        {}, optional={"width": st.integers(64, 8192), "height": st.integers(64, 8192)}
    )
    ratios = st.sampled_from(["1:1", "16:9", "9:16", "3:2", "21:9", "7:3", "1:9"])

    @settings(max_examples=15, deadline=None, derandomize=True, database=None)
    @given(sizes | st.fixed_dictionaries({"aspect_ratio": ratios}))
    def check(asked: dict[str, Any]) -> None:
        found = resolved(database_of_file, model, **asked)
        assert found["size"]["requested"] == asked
        expected = found["size"]["expected"]
        made = image_size(model, found["parameters"])
        assert made == pytest.approx((expected["width"], expected["height"]), rel=0.02)

    check()
