"""The model called inside the request: the image comes back, and how it ended is recorded."""

import asyncio
import io
import sqlite3
from contextlib import closing
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from PIL import Image

from lib.database import QueryError, load
from lib.generation.prompt_check import PromptCheck
from lib.generation.uploads import store_upload_async
from lib.ops.migration_path import Generated, GenerationFailed, Rollout
from lib.provider.replicate.client import Replicate
from lib.queue.worker_calls import StartedGeneration
from lib.storage.local import LocalStorage

SCHNELL = "black-forest-labs/flux-schnell"
HOUR = {"start": None, "length": timedelta(hours=1), "bucket": "hour"}
page = load("migration_path")


def ask(prompt: str = "A lighthouse", **changes):
    asked = {"user_id": None, "prompt": prompt, "model_id": SCHNELL}
    return asked | {"parameters": {"width": 64, "height": 64}} | changes


def recorded(db):
    """The only generation, with its record and what was counted."""
    [row] = db.execute(
        "select g.*, s.outcome, s.error_code, s.started_at as asked_at, s.ended_at"
        " from image_generations g join sync_generations s on s.generation_id = g.id"
    ).fetchall()
    counted = db.execute("select * from path_rollup").fetchall()
    assert db.execute("select from job_queue").fetchall() == []
    return row, counted


def predictions(db):
    """What the table of predictions says: status, and whether the provider's id is known."""
    rows = db.execute(
        "select p.*, g.prediction_id from predictions p"
        " join image_generations g on g.id = p.generation_id"
    ).fetchall()
    assert all(row["provider_id"] in (None, row["prediction_id"]) for row in rows)
    assert all(row["ended_at"] for row in rows)
    return [(row["status"], row["provider_id"] is not None) for row in rows]


async def test_an_image_is_made_stored_and_recorded(db, rollout, tmp_path):
    made = await rollout.generate_synchronously(**ask())
    row, [counted] = recorded(db)
    assert (row["id"], row["image_url"]) == (made.generation_id, made.image_url)
    assert made.image_url == f"http://app.example/images/anonymous/{made.generation_id}/0.webp"
    outputs = db.execute("select * from outputs").fetchall()
    assert [(one["index"], one["url"], one["width"]) for one in outputs] == [
        (0, made.image_url, 512)
    ]
    assert (tmp_path / "images" / row["storage_path"]).is_file()
    assert (tmp_path / "images" / row["thumbnail_path"]).is_file()
    assert (row["status"], row["outcome"], row["error_code"]) == ("completed", "completed", None)
    assert (row["progress"], row["error_message"]) == (100, None)
    assert row["prediction_id"]
    assert (counted["path"], counted["model_id"], counted["outcome"]) == (
        "sync", SCHNELL, "completed",
    )  # fmt: skip
    took = row["ended_at"] - row["asked_at"]
    assert (counted["generations"], counted["total_us"]) == (1, round(took.total_seconds() * 1e6))
    assert row["completed_at"] == row["ended_at"]
    assert predictions(db) == [("succeeded", True)]
    [sent] = db.execute("select input, log, predict_seconds from predictions").fetchall()
    assert sent["input"]["prompt"] == "A lighthouse"
    assert sent["log"]
    assert sent["predict_seconds"] > 0


@pytest.mark.parametrize(
    ("prompt", "code", "permanent", "words", "prediction"),
    [
        ("[fail]", "prediction_failed", False, "failed: CUDA out of memory",
         [("failed", True)]),
        ("[nsfw]", "refused", True, "safety filter", [("failed", True)]),
        ("[402]", "no_credit", True, "no credit", []),
        # It may have been started.
        ("[500]", "provider_error", False, "Replicate returned HTTP 500", [("unknown", False)]),
    ],
)  # fmt: skip
async def test_a_failure_is_raised_and_recorded(
    db, rollout, prompt, code, permanent, words, prediction
):
    with pytest.raises(GenerationFailed, match=words) as failure:
        await rollout.generate_synchronously(**ask(prompt))
    row, [counted] = recorded(db)
    assert (failure.value.code, failure.value.permanent) == (code, permanent)
    assert failure.value.generation_id == row["id"]
    assert (row["status"], row["outcome"], row["error_code"]) == ("failed", "failed", code)
    assert (row["error_message"], row["error_code"]) == (str(failure.value), code)
    assert predictions(db) == prediction
    assert (counted["outcome"], counted["error_code"], counted["generations"]) == (
        "failed", code, 1,
    )  # fmt: skip


async def test_a_run_without_end_is_given_up_at_the_deadline(db, simulator, async_pool, tmp_path):
    replicate = Replicate(simulator.token, simulator.base_url)
    storage = LocalStorage(tmp_path, "http://app.example")
    hasty = Rollout(async_pool, replicate, storage, deadline_seconds=0.3)
    with pytest.raises(GenerationFailed, match="took longer than"):
        await hasty.generate_synchronously(**ask("[hang]"))
    assert recorded(db)[0]["error_code"] == "deadline_exceeded"
    assert predictions(db) == [("canceled", True)]
    await replicate.aclose()


async def test_a_provider_that_does_not_answer_is_recorded(db, async_pool, tmp_path):
    replicate = Replicate("r8_token", "http://127.0.0.1:9", max_wait=0)
    nobody = Rollout(async_pool, replicate, LocalStorage(tmp_path, "http://a"), deadline_seconds=5)
    with pytest.raises(GenerationFailed, match="does not respond"):
        await nobody.generate_synchronously(**ask())
    assert recorded(db)[0]["error_code"] == "unreachable"
    assert predictions(db) == []
    await replicate.aclose()


async def test_a_refused_prompt_is_not_sent(db, async_pool, tmp_path):
    replicate = Replicate("r8_token", "http://127.0.0.1:9", max_wait=0)
    sentence = "No lighthouses, please."
    checking = Rollout(
        async_pool, replicate, LocalStorage(tmp_path, "http://a"), deadline_seconds=5,
        prompt_check=PromptCheck(lambda prompt, _user, _model: sentence if prompt else None),
    )  # fmt: skip
    with pytest.raises(GenerationFailed, match=sentence) as failure:
        await checking.generate_synchronously(**ask())
    assert (failure.value.code, failure.value.permanent) == ("refused", True)
    row, _ = recorded(db)
    assert (row["status"], row["error_code"], row["error_message"]) == (
        "failed", "refused", sentence,
    )  # fmt: skip
    assert predictions(db) == []
    [counted] = [each for each in page.compared(db, **HOUR) if each["model_id"] is None]
    assert (counted["failed"], counted["failure_share"]) == (0, None)
    await replicate.aclose()


def prediction(simulator, prompt: str):
    path = simulator._folder / "predictions.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "select id, canceled_at from predictions where json_extract(input, '$.prompt') = ?",
            (prompt,),
        ).fetchone()


async def test_a_cancelled_request_cancels_the_prediction_and_is_recorded(db, rollout, simulator):
    prompt = f"[hang] {uuid4()}"
    request = asyncio.create_task(rollout.generate_synchronously(**ask(prompt)))
    async with asyncio.timeout(20):
        while prediction(simulator, prompt) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    prediction_id, canceled_at = prediction(simulator, prompt)
    assert canceled_at
    row, [counted] = recorded(db)
    assert (row["status"], row["outcome"]) == ("cancelled", "cancelled")
    assert row["prediction_id"] == prediction_id
    assert predictions(db) == [("canceled", True)]
    assert counted["outcome"] == "cancelled"


class BrokenStorage(LocalStorage):
    """A storage with an error in its program."""

    async def save(self, *_arguments):
        raise RuntimeError


@pytest.mark.parametrize(
    ("storage", "raised", "code"),
    [
        (BrokenStorage, RuntimeError, "internal_error"),
        (LocalStorage, GenerationFailed, "storage_failed"),
    ],
)
async def test_an_error_of_our_own_is_recorded_too(
    db, async_pool, simulator, tmp_path, storage, raised, code
):
    replicate = Replicate(simulator.token, simulator.base_url)
    (tmp_path / "images").write_text("no folder")
    unable = storage(tmp_path / "images", "http://app.example")
    broken = Rollout(async_pool, replicate, unable, deadline_seconds=30)
    with pytest.raises(raised):
        await broken.generate_synchronously(**ask())
    assert recorded(db)[0]["error_code"] == code
    await replicate.aclose()


async def test_an_end_is_recorded_once(db, rollout):
    made = await rollout.generate_synchronously(**ask())
    before = recorded(db)
    again = "select end_sync_generation(%s, 'failed', 'late', 'late') as done"
    assert db.execute(again, [made.generation_id]).fetchone()["done"] is False
    assert recorded(db) == before


async def test_a_request_whose_process_dies_is_seen(db, rollout):
    db.execute(f"select start_sync_generation(null, 'a', '{SCHNELL}')")
    assert page.state(db)["unended"] == 0
    db.execute("update sync_generations set started_at = now() - interval '61 minutes'")
    assert page.state(db)["unended"] == 1


async def test_what_cannot_be_begun_leaves_nothing(db, rollout):
    user = uuid4()
    db.execute("insert into auth.users (id) values (%s)", [user])
    for changes, sqlstate in [
        ({"model_id": "no/model"}, "DR404"),
        ({"prompt": "  "}, "22023"),
        ({"user_id": UUID(int=1)}, "23503"),
    ]:
        with pytest.raises(QueryError) as refusal:
            await rollout.generate_synchronously(**ask(**changes))
        assert refusal.value.sqlstate == sqlstate
    assert db.execute("select from image_generations").fetchall() == []


async def test_the_limits_hold_for_both_paths_together(db, rollout):
    user = uuid4()
    db.execute("insert into auth.users (id) values (%s)", [user])
    db.execute("insert into user_limits (user_id, hourly_limit) values (%s, 2)", [user])
    db.execute("select start_generation(%s, 'a', %s)", [user, SCHNELL])
    await rollout.generate_synchronously(**ask(user_id=user))
    with pytest.raises(QueryError) as refusal:
        await rollout.generate_synchronously(**ask(user_id=user))
    assert refusal.value.sqlstate == "DR429"
    assert refusal.value.detail["retry_after_seconds"] > 0
    await rollout.generate_synchronously(**ask(user_id=user, source="test"))


async def test_the_rollout_chooses_the_path(db, rollout):
    assert isinstance(await rollout.generate(**ask()), Generated)
    db.execute("select set_async_rollout('operator', 100)")
    started = await rollout.generate(**ask())
    assert isinstance(started, StartedGeneration)
    [job] = db.execute("select id, status from job_queue").fetchall()
    assert job == {"id": started.job_id, "status": "pending"}


async def test_the_model_gets_its_defaults_and_what_was_asked_for(db, rollout, simulator):
    prompt = f"A cabin {uuid4()}"
    await rollout.generate_synchronously(**ask(prompt, parameters={"width": 128, "seed": 7}))
    path = simulator._folder / "predictions.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        [(steps, ratio, seed)] = connection.execute(
            "select json_extract(input, '$.num_inference_steps'),"
            " json_extract(input, '$.aspect_ratio'), json_extract(input, '$.seed') from predictions"
            " where json_extract(input, '$.prompt') = ?",
            (prompt,),
        ).fetchall()
    assert (steps, ratio, seed) == (4, "9:21", 7)


async def test_an_upload_is_given_to_the_provider(db, rollout, async_pool, tmp_path):
    png = io.BytesIO()
    Image.new("RGB", (64, 32), "teal").save(png, "PNG")
    storage = LocalStorage(tmp_path / "images", "")
    upload = await store_upload_async(
        async_pool, storage, user_id=None, source="app", content=png.getvalue()
    )
    asked = ask() | {"model_id": "nightmareai/real-esrgan", "prompt": ""}
    made = await rollout.generate_synchronously(
        **asked | {"parameters": {"image": upload.reference}}
    )
    [output] = db.execute("select width, height from outputs").fetchall()
    assert (output["width"], output["height"]) == (256, 128)
    [used] = db.execute("select generation_id from generation_uploads").fetchall()
    assert used["generation_id"] == made.generation_id
