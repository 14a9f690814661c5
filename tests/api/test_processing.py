"""process-jobs and process-generation: from a waiting job to a stored image at the simulator."""

from io import BytesIO
from uuid import uuid4

import pytest
from PIL import Image

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell", "test": True}


def test_process_jobs_runs_what_waits_to_stored_images(call, served, db):
    started = [
        call("start-generation", GENERATION | {"width": 256, "height": 128}).json()
        for _ in range(2)
    ]
    answer = call("process-jobs")
    assert answer.json() == {
        "success": True,
        "processed": 2,
        "errors": 0,
        "running": 0,
        "message": "Jobs processed: 2, errors: 0",
    }
    for one in started:
        row = db.execute(
            "select q.status as job, q.attempts, g.* from public.job_queue q,"
            " public.image_generations g where q.id = %s and g.id = %s",
            (one["job_id"], one["generation_id"]),
        ).fetchone()
        assert (row["job"], row["attempts"], row["status"]) == ("completed", 1, "completed")
        assert row["progress"] == 100
        assert row["prediction_id"]
        image = (served.settings.images / row["storage_path"]).read_bytes()
        assert Image.open(BytesIO(image)).size == (672, 384)
        assert row["image_url"].endswith(f"/images/{row['storage_path']}")


def test_process_jobs_takes_at_most_its_share_at_a_time(call):
    for _ in range(4):
        call("start-generation", GENERATION)
    assert [call("process-jobs").json()["processed"] for _ in range(3)] == [3, 1, 0]


def test_an_invalid_model_fails_once_naming_the_model(call, db):
    db.execute(
        "select public.enqueue_job('generate-image',"
        """ '{"test": true, "prompt": "Test prompt", "model_id": "invalid-model-id"}')"""
    )
    answer = call("process-jobs").json()
    assert (answer["success"], answer["processed"], answer["errors"]) == (True, 1, 1)
    failed = db.execute("select * from public.failed_jobs_recent").fetchone()
    assert "invalid-model-id" in failed["error_message"]
    assert failed["attempts"] == 1


def test_a_job_enqueued_by_hand_gets_its_generation(call, db):
    db.execute(
        """select public.enqueue_job('generate-image', '{"test": true, "prompt": "By hand"}')"""
    )
    call("process-jobs")
    row = db.execute("select prompt, status, source from public.image_generations").fetchone()
    assert row == {"prompt": "By hand", "status": "completed", "source": "test"}


@pytest.mark.parametrize(
    "payload", ["{}", '{"prompt": " "}', '{"prompt": "x", "generation_id": "y"}']
)
def test_a_payload_that_can_never_run_fails_at_once(call, db, payload):
    db.execute("select public.enqueue_job('generate-image', %s::jsonb)", (payload,))
    assert call("process-jobs").json()["errors"] == 1
    row = db.execute("select status, error_message from public.job_queue").fetchone()
    assert row["status"] == "failed"
    assert "payload." in row["error_message"]


def test_a_failed_prediction_waits_for_another_attempt(call, db):
    call("start-generation", GENERATION | {"prompt": "Doomed [fail]"})
    assert call("process-jobs").json()["errors"] == 1
    row = db.execute("select status, attempts from public.job_queue").fetchone()
    assert row == {"status": "pending", "attempts": 1}


def test_a_second_attempt_follows_the_prediction_of_the_first(call, db):
    started = call("start-generation", GENERATION | {"prompt": "Found again [fail]"}).json()
    call("process-jobs")
    # A prediction that goes on although its worker is gone.
    call("start-generation", GENERATION)
    call("process-jobs")
    running = db.execute(
        "select prediction_id from public.image_generations where status = 'completed'"
    ).fetchone()["prediction_id"]
    db.execute("delete from public.predictions where provider_id = %s", [running])
    db.execute(
        "update public.image_generations set prediction_id = %s where id = %s",
        (running, started["generation_id"]),
    )
    answer = call("process-generation", {"generation_id": started["generation_id"]}).json()
    assert (answer["processed"], answer["errors"]) == (1, 0)
    again = db.execute(
        "select prediction_id, status from public.image_generations where id = %s",
        (started["generation_id"],),
    ).fetchone()
    assert again == {"prediction_id": running, "status": "completed"}


def test_where_the_first_prediction_is_gone_one_attempt_says_so_and_the_next_starts_anew(call, db):
    started = call("start-generation", GENERATION).json()
    db.execute(
        "update public.image_generations"
        " set prediction_id = 'removedlongago', created_at = created_at - interval '1 hour'"
    )
    for errors in (1, 0):
        answer = call("process-generation", {"generation_id": started["generation_id"]}).json()
        assert (answer["processed"], answer["errors"]) == (1, errors)
    details = db.execute("select error_details from public.job_queue").fetchone()["error_details"]
    assert details["code"] == "outputs_expired"
    assert "removedlongago" in details["attempts"][0]["error"]
    again = db.execute("select prediction_id, status from public.image_generations").fetchone()
    assert again["status"] == "completed"
    assert again["prediction_id"] != "removedlongago"


def test_process_generation_runs_just_that_one(call, db):
    one, other = (call("start-generation", GENERATION).json() for _ in range(2))
    answer = call("process-generation", {"generation_id": one["generation_id"]})
    assert (answer.status_code, answer.json()["processed"]) == (200, 1)
    states = {
        str(row["id"]): row["status"]
        for row in db.execute("select id, status from public.job_queue").fetchall()
    }
    assert states == {one["job_id"]: "completed", other["job_id"]: "pending"}


def test_process_generation_without_a_waiting_job_is_not_found(call):
    answer = call("process-generation", {"generation_id": str(uuid4())})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_waiting_job")
    answer = call("process-generation", {"generation_id": "one"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "generation_id")


def test_a_database_without_our_schema_is_not_called_away(call, db):
    db.execute("alter function public.start_generation rename to elsewhere")
    answer = call("start-generation", GENERATION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "schema_missing")


def test_a_database_that_is_away_is_said_and_comes_back(call, database_away, eventually):
    with database_away():
        for function in ("start-generation", "process-jobs"):
            answer = call(function, GENERATION)
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "database_unavailable"
            assert answer.headers["Retry-After"]
    eventually(lambda: call("start-generation", GENERATION).status_code == 200)


def test_all_images_are_stored_and_returned(call, served, db):
    started = call("start-generation", GENERATION | {"num_outputs": 4}).json()
    answer = call("process-generation", {"generation_id": started["generation_id"]}).json()
    images = answer["images"]
    assert len(images) == 4
    assert {(image["width"], image["height"], image["type"]) for image in images} == {
        (1024, 1024, "image/webp")
    }
    rows = db.execute("select * from public.outputs order by index").fetchall()
    assert [row["url"] for row in rows] == [image["url"] for image in images]
    for row in rows:
        image = Image.open(served.settings.images / row["storage_path"])
        assert image.size == (row["width"], row["height"])
        assert (served.settings.images / row["thumbnail_path"]).is_file()
    generation = db.execute("select image_url, notices from public.image_generations").fetchone()
    assert generation == {"image_url": images[0]["url"], "notices": []}


@pytest.mark.parametrize(
    ("model", "notice"),
    [
        (
            "black-forest-labs/flux-schnell",
            "3 of 4 images; 1 withheld by the safety filter.",
        ),
        ("openai/gpt-image-1.5", "3 of 4 images; 1 not returned by the model."),
    ],
)
def test_fewer_images_than_asked_for_are_said(call, db, model, notice):
    request = GENERATION | {"prompt": "A lighthouse [flagged]", "model_id": model}
    started = call("start-generation", request | {"num_outputs": 4}).json()
    answer = call("process-generation", {"generation_id": started["generation_id"]}).json()
    assert len(answer["images"]) == 3
    row = db.execute("select status, notices from public.image_generations").fetchone()
    assert (row["status"], row["notices"][-1:]) == ("completed", [notice])
