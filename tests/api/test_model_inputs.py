"""Inputs of models: checked before the queue, translated, and what the answer says of it."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SCHNELL = "black-forest-labs/flux-schnell"
GENERATION = {"prompt": "A lighthouse", "model_id": SCHNELL}
BAD = {"num_inference_steps": 28, "go_fast": "yes", "num_output": 2}
WORDS = (
    "num_output: is unknown, did you mean num_outputs?;"
    " num_inference_steps: 28 is above the maximum of 4, allowed: a whole number from 1 to 4;"
    ' go_fast: "yes" is not true or false, allowed: true or false'
)


def enqueue(db: Any, **payload: Any) -> uuid.UUID:
    id: uuid.UUID = db.execute(
        "select enqueue_job('generate-image', %s) as id", [json.dumps(payload)]
    ).fetchone()["id"]
    return id


def ended(db: Any, job: uuid.UUID) -> dict[str, Any]:
    row: dict[str, Any] = db.execute(
        "select q.status, q.attempts, q.error_message, q.error_details ->> 'code' as code,"
        " g.parameters, g.notices, g.size, g.status as generation, g.error_message as told"
        " from job_queue q"
        " left join image_generations g on g.id = generation_of(q.payload) where q.id = %s",
        [job],
    ).fetchone()
    return row


def test_everything_that_is_wrong_is_said_at_once(call, db):
    answer = call("start-generation", GENERATION | BAD)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["message"]) == (422, "invalid_field", WORDS)
    assert error["field"] == error["problems"][0]["field"] == "num_output"
    assert error["problems"][1] == {
        "field": "num_inference_steps",
        "problem": "28 is above the maximum of 4",
        "allowed": "a whole number from 1 to 4",
    }
    answer = call("start-generation", {"prompt": "", "model_id": ["a"], "test": 5})
    fields = [problem["field"] for problem in answer.json()["error"]["problems"]]
    assert (answer.status_code, fields) == (422, ["prompt", "model_id", "test"])
    assert db.execute("select from job_queue").fetchone() is None


def test_a_job_enqueued_by_hand_fails_at_once_in_the_same_words(call, db):
    nested = enqueue(db, prompt="A fox", model_id=SCHNELL, parameters=BAD)
    existing = db.execute(
        "insert into image_generations (prompt, model_id, parameters)"
        " values ('A fox', %s, %s) returning id",
        [SCHNELL, json.dumps(BAD)],
    ).fetchone()["id"]
    of_row = enqueue(db, generation_id=str(existing))
    assert call("process-jobs").json()["errors"] == 2
    for job in (nested, of_row):
        row = ended(db, job)
        assert (row["status"], row["attempts"], row["code"]) == ("failed", 1, "invalid_payload")
        assert row["error_message"] == WORDS
    assert ended(db, of_row)["told"] == WORDS
    assert db.execute("select from predictions").fetchone() is None


def test_a_flat_payload_of_an_older_client_runs(call, db):
    existing = uuid.uuid4()
    db.execute(
        "insert into image_generations (id, prompt, model_id) values (%s, 'A fox', %s)",
        [existing, SCHNELL],
    )
    flat = {"width": 1024, "height": 576, "num_inference_steps": 2, "guidance_scale": 7.5}
    rest = {"seed": None, "style": "photo", "model_version": None, "user_id": str(uuid.uuid4())}
    jobs = [
        enqueue(db, prompt="A fox", model_id=SCHNELL, **flat, **rest),
        enqueue(db, prompt="A fox", model_id=SCHNELL, generation_id=str(existing), **flat, **rest),
    ]
    assert call("process-jobs").json()["errors"] == 0
    for job in jobs:
        row = ended(db, job)
        assert row["status"] == "completed"
        assert row["parameters"] == {
            "num_inference_steps": 2,
            "aspect_ratio": "16:9",
            "megapixels": "1",
        }
        assert row["size"]["expected"] == {"width": 1344, "height": 768, "exact": True}
        assert [notice.split()[0] for notice in row["notices"]] == [
            "style",
            "guidance_scale",
            "The",
        ]


def test_neutral_names_become_the_models_own(call, db):
    asked = {
        "prompt": "A fox",
        "model_id": "black-forest-labs/flux-2-flex",
        "num_inference_steps": 20,
        "guidance_scale": 4,
        "source_image_url": "https://example.com/fox.png",
        "negative_prompt": "hens",
        "strength": 0.5,
    }
    body = call("start-generation", asked).json()
    row = ended(db, body["job_id"])
    assert row["parameters"] == {
        "steps": 20,
        "guidance": 4,
        "input_images": ["https://example.com/fox.png"],
    }
    assert body["notices"] == [
        "strength is ignored: black-forest-labs/flux-2-flex does not accept it.",
        "negative_prompt is ignored: black-forest-labs/flux-2-flex does not accept it.",
    ]
    assert body["size"] == {"requested": {}, "sent": {}, "expected": None}
    answer = call("start-generation", asked | {"guidance_scale": 11})
    assert answer.json()["error"]["problems"] == [
        {
            "field": "guidance_scale",
            "problem": "11 is above the maximum of 10",
            "allowed": "a number from 1.5 to 10",
        }
    ]


def test_a_secret_is_neither_accepted_nor_stored_nor_repeated(call, db, served):
    asked = {"prompt": "A fox", "model_id": "openai/gpt-image-1.5", "openai_api_key": "sk-live"}
    headers = {"Idempotency-Key": "1", "apikey": served.keys.secret}
    answer = call("start-generation", asked, headers=headers)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "openai_api_key")
    assert "sk-live" not in answer.text
    assert db.execute("select from image_generations").fetchone() is None
    assert db.execute("select from idempotency_keys").fetchone() is None
    job = enqueue(
        db, prompt="A fox", model_id=asked["model_id"], parameters={"openai_api_key": "sk-live"}
    )
    call("process-jobs")
    assert "sk-live" not in ended(db, job)["error_message"]
    assert db.execute("select from image_generations").fetchone() is None


def test_users_may_not_set_what_is_the_operators(call, db, served):
    asked = GENERATION | {"disable_safety_checker": True}
    answer = call("start-generation", asked, headers={"apikey": served.keys.publishable})
    assert answer.json()["error"]["problems"] == [
        {"field": "disable_safety_checker", "problem": "can only be set by operators"}
    ]
    assert call("start-generation", asked | {"test": True}).status_code == 200


def test_a_choice_that_may_exist_is_sent_with_a_notice(call, db):
    asked = {"prompt": "A fox", "model_id": "google/imagen-4", "image_size": "4K"}
    body = call("start-generation", asked).json()
    assert body["notices"] == [
        'image_size: "4K" is not among the known choices (1K, 2K) and is sent as is.'
    ]
    assert ended(db, body["job_id"])["parameters"] == {"image_size": "4K"}


def test_a_model_without_a_schema_gets_everything_unchecked(call, db):
    db.execute("insert into models (id, display_name) values ('owner/new', 'New')")
    asked = {"prompt": "A fox", "model_id": "owner/new", "width": 512, "own": [1, "a"]}
    body = call("start-generation", asked).json()
    assert (body["notices"], body["size"]) == ([], None)
    assert ended(db, body["job_id"])["parameters"] == {"width": 512, "own": [1, "a"]}
    assert call("start-generation", asked | {"width": "wide"}).status_code == 422


@pytest.mark.parametrize(
    ("model", "prompt", "code", "attempts"),
    [
        (SCHNELL, "[nsfw]", "refused", 1),
        ("stability-ai/stable-diffusion-3.5-large", "[nsfw]", "refused", 1),
        ("google/imagen-4", "[E005]", "refused", 1),
        ("google/imagen-4", "[E001]", "vendor_account", 1),
        ("google/imagen-4", "[E002]", "vendor_account", 1),
        ("google/imagen-4", "[402]", "no_credit", 1),
        ("google/imagen-4", "[E003]", "prediction_failed", 3),
        ("google/imagen-4", "[E9828]", "prediction_failed", 3),
        ("google/imagen-4", "[PA]", "prediction_failed", 3),
    ],
)
def test_a_refusal_is_not_tried_again_but_a_vendors_trouble_is(
    call, db, model, prompt, code, attempts
):
    db.execute("update job_types set backoff_base_seconds = 0.001, backoff_max_seconds = 0.001")
    body = call("start-generation", {"prompt": prompt, "model_id": model}).json()
    for _ in range(attempts + 1):
        call("process-jobs")
        db.execute("update job_queue set scheduled_at = now() where status = 'pending'")
    row = ended(db, body["job_id"])
    assert (row["status"], row["code"], row["attempts"]) == ("failed", code, attempts)
    assert row["told"] == row["error_message"]
    if code == "refused":
        assert "safety filter" in row["told"]
        assert "Change the prompt" in row["told"]
    paid = db.execute("select count(*) from predictions").fetchone()["count"]
    assert paid == (0 if prompt == "[402]" else attempts)
    failures = db.execute("select coalesce(sum(failures), 0) as n from provider_breakers")
    assert failures.fetchone()["n"] == (1 if prompt == "[402]" else 0)


def test_a_model_may_have_a_deadline(call, db):
    db.execute("update models set deadline_seconds = 1 where id = %s", [SCHNELL])
    body = call("start-generation", GENERATION | {"prompt": "[hang]"}).json()
    call("process-jobs")
    row = db.execute("select error_message from job_queue where id = %s", [body["job_id"]])
    assert "took longer than 1 s" in row.fetchone()["error_message"]


def test_a_refusal_that_a_lost_worker_paid_for_is_not_paid_again(call, db):
    body = call("start-generation", GENERATION | {"prompt": "[nsfw]"}).json()
    call("process-jobs")
    # As if the worker had died before it could say so.
    db.execute("update predictions set status = 'processing', ended_at = null")
    db.execute("select retry_jobs('me', array[%s]::uuid[])", [body["job_id"]])
    call("process-jobs")
    row = ended(db, body["job_id"])
    assert (row["status"], row["code"]) == ("failed", "refused")
    assert db.execute("select count(*) from predictions").fetchone()["count"] == 1


@pytest.mark.parametrize(
    ("width", "height", "made"), [(512, 512, "512 x 512"), (1024, 576, "1344 x 768")]
)
def test_the_answer_and_the_documentation_say_what_will_be_made(
    call, db, served, width, height, made
):
    """The first is the request of the guide's curl."""
    body = call("start-generation", GENERATION | {"width": width, "height": height}).json()
    call("process-jobs")
    path = db.execute("select storage_path from image_generations").fetchone()["storage_path"]
    with Image.open(served.settings.images / path) as image:
        assert f"{image.width} x {image.height}" == made
    expected, sent = body["size"]["expected"], json.dumps(body["size"]["sent"], sort_keys=True)
    assert (expected["width"], expected["height"]) == (image.width, image.height)
    changed = (image.width, image.height) != (width, height)
    assert any(f"will be {made} pixels" in notice for notice in body["notices"]) is changed
    documented = (Path(__file__).parents[2] / "docs" / "applications.md").read_text("utf-8")
    assert f"{width} x {height} is sent as `{sent}` and gives {made}" in documented
