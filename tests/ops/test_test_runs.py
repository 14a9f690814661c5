"""What is checked before a test run is started, what it costs, how its jobs are shared."""

from dataclasses import replace
from typing import Any

import pytest

from lib.ops.test_runs.inputs import Parameter, parameters_of, problem, shared_parameters
from lib.ops.test_runs.submission import Invalid, Submission, check, cost, images_by_model

MODELS: dict[str, dict[str, Any]] = {
    "a/one": {
        "id": "a/one",
        "display_name": "One",
        "default_parameters": {"steps": 6},
        "price_per_image": 0.5,
        "max_outputs": 4,
        "takes_prompt": True,
        "image_input": None,
        "parameter_schema": [
            {
                "name": "steps",
                "label": "Steps",
                "kind": "integer",
                "min": 1,
                "max": 8,
                "default": 4,
            },
            {"name": "guidance", "kind": "number", "min": 0, "max": 10},
            {"name": "style", "kind": "choice", "choices": ["any", "photo"]},
            {"name": "fast", "kind": "boolean"},
            {"name": "note", "kind": "text"},
            {"name": "negative_prompt", "kind": "text"},
        ],
    },
    "a/two": {
        "id": "a/two",
        "display_name": "Two",
        "default_parameters": {},
        "price_per_image": None,
        "max_outputs": 1,
        "takes_prompt": False,
        "image_input": "image",
        "parameter_schema": [
            {"name": "image", "label": "Image", "kind": "file", "required": True},
            {"name": "mask", "label": "Mask", "kind": "file"},
            {"name": "styles", "label": "Styles", "kind": "files"},
            {
                "name": "steps",
                "label": "Steps",
                "kind": "integer",
                "min": 1,
                "max": 8,
                "default": 6,
            },
            {"name": "fast", "label": "Fast", "kind": "boolean", "default": True},
        ],
    },
}
IMAGE = {"image": "upload:0b6f5c3e-0000-4000-8000-000000000001"}
GOOD = Submission("fox", "fog", ["a/one"], 1024, 512, 7, 2, False, 50, 5.0)


def wrong(**changes: Any) -> str:
    with pytest.raises(Invalid) as refused:
        check(replace(GOOD, **changes), MODELS)
    return refused.value.field


def test_names_the_field_that_is_wrong() -> None:
    check(GOOD, MODELS)
    assert wrong(prompt=" ") == wrong(prompt="x" * 10_001) == "Prompt"
    assert wrong(models=[]) == wrong(models=["a/three"]) == wrong(models=["a/one"] * 5) == "Models"
    assert wrong(models=["a/two"]) == "Negative prompt"
    assert wrong(width=63) == "Width"
    assert wrong(height=8193) == "Height"
    assert wrong(seed=-1) == wrong(seed=2**32) == "Seed"
    assert wrong(images=0) == wrong(images=9) == "Jobs per model"
    assert wrong(outputs=0) == wrong(outputs=5) == "Images per job"
    assert wrong(load_test=True, jobs=501) == "Jobs"
    assert wrong(load_test=True, models=["a/one", "a/two"], jobs=1) == "Jobs"
    assert wrong(load_test=True, per_second=0) == "Jobs per second"
    assert wrong(load_test=True, per_second=20.5) == "Jobs per second"


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("steps", 9, "Steps of a/one"),
        ("steps", 0, "Steps of a/one"),
        ("steps", 2.5, "Steps of a/one"),
        ("steps", True, "Steps of a/one"),
        ("guidance", 10.1, "guidance of a/one"),
        ("guidance", "much", "guidance of a/one"),
        ("style", "none", "style of a/one"),
        ("fast", 1, "fast of a/one"),
        ("note", 1, "note of a/one"),
        ("unknown", 1, "unknown"),
    ],
)
def test_names_the_parameter_that_is_wrong(name: str, value: Any, field: str) -> None:
    assert wrong(parameters={"a/one": {name: value}}) == field


def test_takes_good_parameters() -> None:
    good = {"steps": 8, "guidance": 3, "style": "photo", "fast": False, "note": ""}
    check(replace(GOOD, parameters={"a/one": good}), MODELS)


def test_starts_from_the_defaults_of_the_model() -> None:
    found = {said.name: said.default for said in parameters_of(MODELS["a/one"])}
    assert found == {"steps": 6, "guidance": None, "style": None, "fast": None, "note": None}


def test_an_image_is_required_where_the_model_requires_it_and_a_prompt_where_it_takes_one() -> None:
    bare = replace(GOOD, prompt="", negative_prompt="", models=["a/two"])
    with pytest.raises(Invalid, match="Image of a/two: is required"):
        check(bare, MODELS)
    check(replace(bare, parameters={"a/two": IMAGE}), MODELS)
    # One of the two takes a prompt.
    both = replace(bare, models=["a/two", "a/one"], parameters={"a/two": IMAGE})
    with pytest.raises(Invalid, match="Prompt: describe"):
        check(both, MODELS)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("file", "https://studio.example/a.png", "a.png"),
        ("file", "data:image/png;base64,AAAA", ["https://studio.example/a.png"]),
        ("files", [IMAGE["image"], "https://studio.example/a.png"], IMAGE["image"]),
        ("files", [], ["javascript:alert(1)"]),
    ],
)
def test_an_image_is_an_address_or_a_reference(kind: str, good: Any, bad: Any) -> None:
    assert problem(Parameter("image", "Image", kind), good) is None
    assert "is not a valid image address" in str(problem(Parameter("image", "Image", kind), bad))


def test_models_share_inputs_that_allow_and_default_to_the_same() -> None:
    one, two = MODELS["a/one"], MODELS["a/two"]
    assert [said.name for said in shared_parameters([one, two])] == ["steps"]
    assert shared_parameters([one]) == []
    assert [said.name for said in parameters_of(two)] == ["mask", "styles", "steps", "fast"]


def test_shares_jobs_and_adds_up_what_they_cost() -> None:
    assert (GOOD.shares, GOOD.total, cost(GOOD, MODELS)) == ({"a/one": 2}, 2, 1.0)
    assert cost(replace(GOOD, outputs=3), MODELS) == 3.0
    both = replace(GOOD, models=["a/one", "a/two"], outputs=3)
    assert images_by_model(both, MODELS) == {"a/one": 6, "a/two": 2}
    assert cost(both, MODELS) is None
    load = replace(both, load_test=True, jobs=7)
    assert (load.shares, load.total) == ({"a/one": 4, "a/two": 3}, 7)
