"""The sizes offered are those that the models make."""

from collections.abc import Iterator
from typing import Any

import pytest

from lib.database import connect, load
from lib.database.pool import Connection
from lib.ops.run_again import SIZE_INPUTS
from lib.ops.test_runs.sizes import bounds, size_choices
from lib.provider.simulator.models import SHIPPED

SCHNELL, ULTRA = "black-forest-labs/flux-schnell", "black-forest-labs/flux-1.1-pro-ultra"
PRO, SDXL = "black-forest-labs/flux-1.1-pro", "stability-ai/sdxl"


@pytest.fixture(scope="module")
def db_of_file(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection


@pytest.fixture(scope="module")
def models(db_of_file: Connection) -> dict[str, dict[str, Any]]:
    return {model["id"]: model for model in load("generate").models(db_of_file)}


@pytest.mark.parametrize("id", SHIPPED)
def test_every_size_offered_of_a_model_is_what_it_makes(id, models, db_of_file):
    choices = size_choices([models[id]])
    # An upscaler, for example, takes none.
    assert bool(choices) is bool(SIZE_INPUTS & SHIPPED[id].inputs.keys())
    for label, (width, height) in choices.items():
        assert f"{width} x {height}" in label
        row = db_of_file.execute(
            "select r.size -> 'expected' as expected, r.notices from models m,"
            " resolve_input(m, 'A fox', jsonb_build_object('width', %s::int, 'height', %s::int),"
            " false) r where m.id = %s",
            [width, height, id],
        ).fetchone()
        assert (row["expected"]["width"], row["expected"]["height"]) == (width, height), label
        assert row["notices"] == []
        assert ("about" in label) is not row["expected"]["exact"]
    # The first is about a square megapixel, as far as the model makes one.
    assert all(0.9 < width / height < 1.1 for width, height in list(choices.values())[:1])


def test_several_models_are_offered_what_all_make(models):
    both = size_choices([models[SCHNELL], models[ULTRA]])
    assert both["16:9 (1344 x 768)"] == (1344, 768)
    # One that makes any size takes those of the other.
    assert size_choices([models[SCHNELL], models[SDXL]]).keys() >= {"16:9 (1344 x 768)"}
    assert bounds([models[SCHNELL]]) is bounds([models[SCHNELL], models[SDXL]]) is None


def test_a_model_with_width_and_height_makes_any_size_within_its_bounds(models):
    assert bounds([models[PRO]]) == ((256, 1440), (256, 1440))
    assert bounds([models[PRO], models[SDXL]]) == ((256, 1440), (256, 1440))
    assert "Small (512 x 512)" in size_choices([models[PRO], models[SDXL]])


def test_without_a_schema_any_size_is_offered_and_without_a_size_none(models):
    unknown = models[PRO] | {"has_schema": False, "sizes": [], "width": None, "height": None}
    sizeless = unknown | {"has_schema": True}
    assert bounds([unknown]) == ((64, 8192), (64, 8192))
    assert len(size_choices([unknown])) == len(size_choices([])) == 6
    assert size_choices([sizeless]) == {}
    assert bounds([sizeless]) is None
