"""An ended job is run again, as a test or on behalf of its user, once, and it is recorded."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from lib.database import Pool, QueryError, load, open_pool
from lib.database.pool import Connection
from lib.ops.run_again import (
    Changes,
    image_count,
    parse_parameters,
    resized,
    run_again,
    with_image_count,
)
from lib.ops.test_runs.submission import Invalid, Submission, check
from lib.queue.operator_actions import set_priority

USER = UUID(int=7)
MODEL = "black-forest-labs/flux-schnell"


@pytest.fixture
def pool(database: str):
    opened = open_pool(database, max_size=2, wait=2.0, application_name="darkroom test")
    yield opened
    opened.close()


def started(db: Connection, user: UUID | None = USER) -> UUID:
    """The job of a new generation."""
    db.execute("insert into auth.users (id) values (%s) on conflict do nothing", [USER])
    row = db.execute("select start_generation(%s, 'fox', %s) as made", [user, MODEL]).fetchone()
    assert row is not None
    return UUID(row["made"]["job_id"])


def cancelled(db: Connection, user: UUID | None = USER) -> UUID:
    job = started(db, user)
    db.execute("select cancel_jobs('Ada', array[%s])", [job])
    return job


def changes(**other: Any) -> Changes:
    fields = {"prompt": " owl ", "parameters": {"width": 512}, "seed": 3, "test": True}
    return Changes(**fields | other)


def repeat(pool: Pool, job: UUID, key: UUID | None = None, **other: Any) -> UUID:
    return run_again(pool, "Ada", job, MODEL, key or uuid4(), changes(**other))


def test_a_test_is_a_run_of_its_own_and_nobodys(pool: Pool, db: Connection) -> None:
    job, key = cancelled(db), uuid4()
    new = repeat(pool, job, key)
    assert repeat(pool, job, key) == new
    [run] = db.execute("select id, actor, jobs, settings from test_runs").fetchall()
    assert (run["id"], run["actor"], run["jobs"]) == (key, "Ada", 1)
    assert run["settings"]["models"] == [MODEL]
    row = db.execute(
        "select g.prompt, g.parameters, g.source, q.created_by from job_queue q"
        " join image_generations g on g.id = generation_of(q.payload) where q.id = %s",
        [new],
    ).fetchone()
    assert row == {
        "prompt": "owl",
        "parameters": {"aspect_ratio": "9:16", "megapixels": "1", "seed": 3},
        "source": "test",
        "created_by": None,
    }
    entries = db.execute("select details from audit_log where action = 'run_job_again'").fetchall()
    assert [entry["details"] for entry in entries] == [
        {
            "job_ids": [str(job), str(new)],
            "job_id": str(job),
            "new_job_id": str(new),
            "test": True,
            "user_id": None,
        }
    ]


def test_its_run_can_be_run_again_on_generate(pool: Pool, db: Connection) -> None:
    parameters = {"aspect_ratio": "9:16", "num_outputs": 3, "go_fast": False}
    repeat(pool, cancelled(db), parameters=parameters)
    [run] = db.execute("select settings from test_runs").fetchall()
    again = Submission(**run["settings"])
    check(again, {model["id"]: model for model in load("generate").models(db)})
    assert (again.prompt, again.seed, again.outputs, again.total) == (" owl ", 3, 3, 1)
    assert again.parameters == {MODEL: {"go_fast": False}}
    assert (again.width, again.height) == (768, 1344)


def test_on_behalf_of_its_user_it_counts_for_their_limit(pool: Pool, db: Connection) -> None:
    job = cancelled(db)
    db.execute("insert into user_limits (user_id, hourly_limit) values (%s, 2)", [USER])
    key = uuid4()
    new = repeat(pool, job, key, test=False)
    assert repeat(pool, job, key, test=False) == new
    row = db.execute("select created_by from job_queue where id = %s", [new]).fetchone()
    assert row == {"created_by": USER}
    with pytest.raises(QueryError, match="generation limit has been reached"):
        repeat(pool, job, test=False)
    recorded = db.execute("select 1 from audit_log where action = 'run_job_again'").fetchall()
    assert len(recorded) == 1


def test_what_cannot_be_run_again_is_refused(pool: Pool, db: Connection) -> None:
    with pytest.raises(QueryError, match="only a job that has ended"):
        repeat(pool, started(db))
    with pytest.raises(QueryError, match="may have been purged"):
        repeat(pool, uuid4())
    with pytest.raises(QueryError, match="has no user: run it again as a test"):
        repeat(pool, cancelled(db, None), test=False)
    db.execute("update models set enabled = false")
    with pytest.raises(QueryError, match="no enabled model"):
        repeat(pool, by_hand(db))
    assert db.execute("select 1 from test_runs").fetchall() == []


def by_hand(db: Connection) -> UUID:
    """A cancelled job without a generation, enqueued by hand."""
    row = db.execute(
        "insert into job_queue (job_type, status, completed_at, payload)"
        " values ('generate-image', 'cancelled', now(), jsonb_build_object('model_id', %s::text))"
        " returning id",
        [MODEL],
    ).fetchone()
    assert row is not None
    return UUID(str(row["id"]))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"prompt": " "}, "Prompt"),
        ({"prompt": "x" * 10_001}, "Prompt"),
        ({"seed": -1}, "Seed"),
        ({"parameters": {"width": 63}}, "Parameters"),
        ({"parameters": {"height": "512"}}, "Parameters"),
        ({"parameters": {"seed": 1}}, "Parameters"),
        ({"parameters": {"style": [["any"]]}}, "Parameters"),
    ],
)
def test_wrong_changes_are_named(pool: Pool, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        repeat(pool, uuid4(), **wrong)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "text", ["[", "[1]", '"x"', "NaN", '{"a": NaN}', "{'a': 1}", "[" * 100_000]
)
def test_parameters_are_a_json_object(text: str) -> None:
    with pytest.raises(Invalid):
        parse_parameters(text)


def test_parameters_may_be_left_out() -> None:
    assert parse_parameters("") == {}
    assert parse_parameters('{"width": 512}') == {"width": 512}


def test_a_model_without_a_prompt_runs_again_with_its_image(pool: Pool, db: Connection) -> None:
    image = {"image": "https://studio.example/a.png"}
    row = db.execute(
        "select start_generation(null, null, 'lucataco/remove-bg', %s::jsonb) as made",
        [json.dumps(image)],
    ).fetchone()
    assert row is not None
    job = UUID(row["made"]["job_id"])
    db.execute("select cancel_jobs('Ada', array[%s])", [job])
    again = changes(prompt=None, parameters=image, seed=None)
    run_again(pool, "Ada", job, "lucataco/remove-bg", uuid4(), again)
    rows = db.execute("select prompt, parameters from image_generations").fetchall()
    assert rows == [{"prompt": "", "parameters": image}] * 2
    [run] = db.execute("select prompt, settings from test_runs").fetchall()
    assert (run["prompt"], run["settings"]["parameters"]) == ("", {"lucataco/remove-bg": image})


def test_size_and_number_of_images_replace_those_of_the_model() -> None:
    asked = {"aspect_ratio": "9:16", "megapixels": "1", "max_images": 3, "image": ["a"]}
    assert resized(asked, 512, 256) == {
        "max_images": 3, "image": ["a"], "width": 512, "height": 256,
    }  # fmt: skip
    assert (image_count(asked), image_count({})) == (3, 1)
    assert with_image_count({"max_images": 3, "style": "any"}, 2) == {
        "style": "any", "num_outputs": 2,
    }  # fmt: skip


def test_only_pending_jobs_change_their_priority(pool: Pool, db: Connection) -> None:
    pending, ended = started(db), cancelled(db)
    assert set_priority(pool, "Ada", [pending, ended], 10) == [pending]
    assert set_priority(pool, "Ada", [pending], 10) == []
    details = db.execute(
        "select details from audit_log where action = 'set_priority' order by id limit 1"
    ).fetchone()
    assert details == {
        "details": {
            "before": {"0": 1},
            "after": {"priority": 10},
            "job_ids": [str(pending)],
        }
    }
