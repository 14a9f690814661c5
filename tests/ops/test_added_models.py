"""Models are added as the provider publishes them, refreshed with a diff, and audited."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from environment import bare

from lib.database import QueryError, load, translated
from lib.ops.models import schemas
from lib.ops.models.published import ModelRefused, fetch, parse_address, require_runnable
from lib.provider import PublishedModel
from lib.provider.replicate.client import Replicate
from lib.provider.simulator.models import NOT_SHIPPED, SHIPPED
from lib.provider.simulator.server import Simulator

PROJECT = Path(__file__).parents[2]
BANANA, SCHNELL = NOT_SHIPPED.id, "black-forest-labs/flux-schnell"
VERSION = "a" * 64
PROMPT = {"type": "string", "required": True, "x-order": 0}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    server = Simulator(tmp_path_factory.mktemp("data") / "replicate", speed=100, failure_rate=0)
    server.start()
    yield server
    server.stop()


def fetched(simulator: Simulator, text: str) -> PublishedModel:
    return fetch(Replicate(simulator.token, simulator.base_url, max_wait=0), text)


def published(**changes: Any) -> PublishedModel:
    fields = {
        "id": "an/artist",
        "official": False,
        "version": VERSION,
        "inputs": {"prompt": PROMPT, "steps": {"type": "integer", "maximum": 8, "x-order": 1}},
        "output_shape": "uri",
        "makes": None,
    }
    return PublishedModel(**(fields | changes))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("an/artist", ("an/artist", None)),
        (" https://replicate.com/an/artist-1.5?tab=api#x ", ("an/artist-1.5", None)),
        ("replicate.com/an/artist/api/schema", ("an/artist", None)),
        (f"https://replicate.com/an/artist/versions/{VERSION}/api", ("an/artist", VERSION)),
        (f"an/artist:{VERSION}", ("an/artist", VERSION)),
    ],
)
def test_a_model_is_named_by_name_or_web_address(text, found):
    assert parse_address(text) == found


@pytest.mark.parametrize(
    "text", ["", "artist", "https://evil.example/an/artist", "an/artist:latest", "../..", "a b/c"]
)
def test_anything_else_is_not_a_model(text):
    with pytest.raises(ModelRefused, match="Not a model"):
        parse_address(text)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (published(makes="text"), "an/artist makes text, not images."),
        (published(inputs={"image": {"type": "string"}}), "takes neither a prompt nor an image"),
        (
            published(
                inputs={
                    "prompt": PROMPT,
                    "api_key": {"type": "string", "x-cog-secret": True, "required": True},
                }
            ),
            "needs the secret api_key",
        ),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(model, words):
    with pytest.raises(ModelRefused, match=words):
        require_runnable(model)


def test_an_unknown_or_private_model_and_no_provider_are_told(simulator):
    with pytest.raises(ModelRefused, match=r"no model an/artist that this API token may use"):
        fetched(simulator, "an/artist")
    with pytest.raises(ModelRefused, match="cannot reach the provider"):
        fetch(None, "an/artist")
    with pytest.raises(ModelRefused, match="does not respond"):
        fetch(Replicate("r8_x", "http://127.0.0.1:9", max_wait=0), "an/artist")


def test_an_added_model_is_what_the_simulator_publishes(db, simulator):
    model = fetched(simulator, f"https://replicate.com/{BANANA}")
    schemas.save(db, "Ann", None, model, display_name="Banana")
    row = db.execute("select * from models where id = %s", [BANANA]).fetchone()
    assert (row["display_name"], row["version"], row["enabled"]) == ("Banana", None, True)
    assert row["input_schema"] == NOT_SHIPPED.inputs
    assert (row["output_shape"], row["price_per_image"]) == ("uri", None)
    assert row["refreshed_at"] is not None
    started = db.execute(
        "select start_generation(null, 'A fox', %s, '{\"width\": 1024, \"height\": 576}') as s",
        [BANANA],
    ).fetchone()["s"]
    assert started["size"]["sent"] == {"aspect_ratio": "16:9", "resolution": "1K"}
    [entry] = db.execute("select actor, action, details from audit_log").fetchall()
    assert (entry["actor"], entry["action"]) == ("Ann", "add_model")
    assert entry["details"]["before"] is None
    assert entry["details"]["after"]["inputs"] == list(NOT_SHIPPED.inputs)
    assert load("maintenance").model_changes(db)[0]["model_id"] == BANANA


def test_a_model_that_takes_an_image_and_no_prompt_can_be_added(db):
    image = {"type": "string", "format": "uri", "required": True, "x-order": 0}
    model = published(inputs={"img": image})
    require_runnable(model)
    schemas.save(db, "Ann", None, model, display_name="Artist")
    kind = db.execute("select kind from models where id = %s", [model.id]).fetchone()
    assert kind["kind"] == "edit"
    start = "select start_generation(null, null, %s, %s) as said"
    given = json.dumps({"image": "https://pictures.example/fox.png"})
    db.execute(start, [model.id, given])
    [row] = db.execute("select prompt, parameters from image_generations").fetchall()
    assert (row["prompt"], list(row["parameters"])) == ("", ["img"])


def test_shipped_models_differ_from_what_is_published_in_nothing(db, simulator):
    for id in SHIPPED:
        model = fetched(simulator, id)
        stored = schemas.stored_model(db, id)
        assert stored is not None
        changes = schemas.compare(db, stored, model)
        assert (changes.added, changes.removed, changes.changed, changes.unfit) == ([], [], {}, [])
        schemas.save(db, "Ann", stored, model, display_name=stored["display_name"])
    rows = db.execute("select id, input_schema, output_shape, size_rules from models").fetchall()
    for row in rows:
        assert row["input_schema"] == SHIPPED[row["id"]].inputs
        assert row["size_rules"] == SHIPPED[row["id"]].size_rules


def test_a_refresh_says_what_changes_and_keeps_what_operators_set(db):
    schemas.save(db, "Ann", None, published(), display_name="Artist")
    db.execute(
        "select set_model('Ann', id, display_name, version, '{\"steps\": 8}', 0.5, true,"
        " array['steps', 'gone'], 60) from models where id = 'an/artist'"
    )
    new = published(
        version="b" * 64,
        output_shape="uri[]",
        inputs={
            "prompt": PROMPT,
            "steps": {"type": "integer", "maximum": 4, "x-order": 1},
            "seed": {"type": "integer", "x-order": 2},
        },
    )
    stored = schemas.stored_model(db, "an/artist")
    assert stored is not None
    changes = schemas.compare(db, stored, new)
    assert (changes.added, changes.removed) == (["seed"], [])
    assert changes.changed == {"steps": ("whole number, at most 8", "whole number, at most 4")}
    assert changes.unfit == ["steps 8 is above the maximum of 4."]
    assert changes.model == [
        "Version: aaaaaaaaaaaa… → bbbbbbbbbbbb….",
        "Output: one image → a list of images.",
    ]
    back = schemas.compare(db, stored | {"input_schema": new.inputs}, published())
    assert (back.removed, back.lost) == (["seed"], [])
    schemas.save(db, "Bob", stored, new, display_name="Artist")
    row = db.execute("select * from models where id = 'an/artist'").fetchone()
    assert row["default_parameters"] == {}
    assert (float(row["price_per_image"]), row["deadline_seconds"]) == (0.5, 60)
    assert row["operator_fields"] == ["steps", "gone"]
    entry = db.execute("select * from audit_log order by id desc limit 1").fetchone()
    assert (entry["actor"], entry["action"]) == ("Bob", "refresh_model")
    assert entry["details"]["before"]["default_parameters"] == {"steps": 8}
    assert entry["details"]["after"]["inputs"] == ["prompt", "steps", "seed"]


def test_what_only_we_know_survives_a_refresh():
    known = {"size": {"type": "string", "enum_partial": ["1K"], "title": "Size", "x-order": 0}}
    plain = {"size": {"type": "string", "description": "New", "x-order": 1}}
    assert schemas.merged(known, plain)["size"] == {
        "type": "string",
        "enum_partial": ["1K"],
        "title": "Size",
        "description": "New",
        "x-order": 1,
    }
    listed = {"size": {"type": "string", "enum": ["1K", "2K"]}}
    assert "enum_partial" not in schemas.merged(known, listed)["size"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "artist"}, "owner/name"),
        ({"version": "latest"}, "not a Replicate version id"),
        ({"inputs": {"image": {}}}, "has neither a prompt nor an image"),
        ({"inputs": {"prompt": {"description": "x" * 200_000}}}, "larger than 200 kB"),
    ],
)
def test_the_database_refuses_what_cannot_be_a_model(db, changes, message):
    with pytest.raises(QueryError, match=message), translated():
        schemas.save(db, "Ann", None, published(**changes), display_name="Artist")


def test_sizes_of_an_added_model_are_multiples_that_it_takes(db):
    side = {"type": "integer", "enum": [128, 256, 512, 768, 1024], "x-order": 1}
    inputs = {"prompt": PROMPT, "width": side, "height": side}
    schemas.save(db, "Ann", None, published(inputs=inputs), display_name="Artist")
    row = db.execute(
        "select r.size from models m, resolve_input(m, 'A fox',"
        " '{\"width\": 1000, \"height\": 520}', false) r where m.id = 'an/artist'"
    ).fetchone()
    assert row["size"]["sent"] == {"width": 1024, "height": 512}


@pytest.mark.parametrize("choice", ["00x00", "0", "0 MP", "0K", "99999x99999"])
def test_a_size_of_nothing_is_no_size(db, choice):
    size = {"type": "string", "enum": [choice, "1:1"], "x-order": 1}
    inputs = {"prompt": PROMPT, "size": size, "resolution": size, "aspect_ratio": size}
    schemas.save(db, "Ann", None, published(inputs=inputs), display_name="Artist")
    db.execute(
        "select resolve_input(m, 'A fox', '{\"width\": 1000, \"height\": 520}', false)"
        " from models m where m.id = 'an/artist'"
    )


def test_models_are_added_and_refreshed_from_a_shell(db, database, simulator):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lib.ops.models", *arguments],
            cwd=PROJECT,
            env=bare(
                DATABASE_URL=database,
                REPLICATE_API_TOKEN=simulator.token,
                REPLICATE_API_URL=simulator.base_url,
            ),
            capture_output=True,
            text=True,
            timeout=60,
        )

    shown = run("add", BANANA)
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (1, "Nothing was saved.")
    assert "aspect_ratio: choice, match_input_image, 1:1" in shown.stdout
    added = run("add", BANANA, "--name", "Banana", "--yes")
    assert (added.returncode, added.stdout.splitlines()[-1]) == (0, f"{BANANA} saved.")
    again = run("add", BANANA, "--yes")
    assert (again.returncode, "has already been added" in again.stderr) == (1, True)
    db.execute(
        "update models set input_schema = input_schema - 'output_format' where id = %s", [BANANA]
    )
    refreshed = run("refresh", BANANA, "--yes")
    assert refreshed.stdout.splitlines() == ["Added: output_format", f"{BANANA} saved."]
    missing = run("refresh", "an/artist")
    assert (missing.returncode, "no model an/artist" in missing.stderr) == (1, True)
    [name] = db.execute("select display_name from models where id = %s", [BANANA]).fetchall()
    assert name == {"display_name": "Banana"}
    assert json.dumps([row["action"] for row in db.execute("select action from audit_log")]) == (
        '["add_model", "refresh_model"]'
    )
