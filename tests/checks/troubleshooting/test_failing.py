"""Jobs fail, at once or many of them: each cause is provoked, read, and repaired."""

import json

import pytest

SCHNELL, SDXL = "black-forest-labs/flux-schnell", "stability-ai/sdxl"
START = "select start_generation(null, %s, %s, '{}', 'test')"


def fail(db, code, jobs, model=SCHNELL, message="it said no", user=None):
    """So many jobs fail for good."""
    for _ in range(jobs):
        db.execute(
            "select complete_job(id, false, %s, %s)"
            " from enqueue_job('generate-image', %s, p_max_attempts => 1) e"
            " cross join lateral claim_next_job()",
            [message, json.dumps({"code": code}), json.dumps({"model_id": model})],
        )


def complete(db, jobs, model=SCHNELL):
    for _ in range(jobs):
        db.execute(
            "select complete_job(id) from enqueue_job('generate-image', %s) e"
            " cross join lateral claim_next_job()",
            [json.dumps({"model_id": model})],
        )


def test_a_wrong_token_is_named_and_its_jobs_are_retried_with_the_right_one(
    page, db, start_worker, ended
):
    wrong = start_worker(token="r8_wrong")
    for prompt in ("a fox", "a hen"):
        db.execute(START, [prompt, SCHNELL])
    assert ended(2) == ["failed", "failed"]
    said = page.read("at_once")
    assert "Most likely: **Replicate rejected the API token" in said
    assert "2 jobs failed in the last hour, 2 on the first attempt." in said
    assert "r8_wrong" not in said
    wrong.terminate()
    wrong.wait(30)
    start_worker()
    assert page.press("Retry 2 jobs") == "2 jobs put back on the queue."
    assert ended(2) == ["completed", "completed"]
    assert page.healthy("at_once")


def test_a_model_that_does_not_exist_is_named(page, db, start_worker, ended):
    start_worker()
    db.execute('select enqueue_job(\'generate-image\', \'{"prompt": "x", "model_id": "a/bb"}\')')
    assert ended(1) == ["failed"]
    said = page.read("at_once")
    assert "Model not found on Replicate for a/bb" in said
    assert "in the models table" in said
    db.execute("update job_queue set completed_at = now() - interval '2 hours'")
    assert page.healthy("at_once")


def test_a_disabled_model_that_users_want_is_enabled(page, db):
    complete(db, 3)
    db.execute("select rebuild_rollup()")
    db.execute("select refresh_rollup()")
    db.execute(
        "select set_model('Eve', id, display_name, version, default_parameters,"
        " price_per_image, false, operator_fields, deadline_seconds) from models where id = %s",
        [SCHNELL],
    )
    said = page.read("at_once")
    assert f"Model {SCHNELL} is disabled; requests for it are rejected." in said
    assert "Users generated 3 images with it in the last 7 days. Last changed by Eve." in said
    assert page.press(f"Enable {SCHNELL}") == f"{SCHNELL} enabled."
    assert page.healthy("at_once")
    db.execute(START, ["a fox", SCHNELL])


@pytest.mark.parametrize(
    ("code", "cause", "retried"),
    [
        ("no_credit", "Replicate account out of credit", True),
        ("invalid_input", "Input rejected by Replicate", True),
        ("invalid_payload", "Invalid payload", False),
        ("not_an_image", "Output is not an image", True),
    ],
)
def test_other_errors_are_explained(page, db, code, cause, retried):
    fail(db, code, 2, message="<b>payload</b> *of* job")
    said = page.read("at_once")
    assert cause in said
    assert "Newest message: <b>payload</b> *of* job" in said
    if retried:
        assert page.press("Retry 2 jobs") == "2 jobs put back on the queue."
        assert page.healthy("at_once")
    else:
        with pytest.raises(ValueError, match="not enough values"):
            page.press("Retry 2 jobs")


def test_a_model_that_fails_alone_is_disabled(page, db):
    complete(db, 8)
    complete(db, 2, SDXL)
    fail(db, "prediction_failed", 8, SDXL)
    said = page.read("failure_rate")
    assert f"Most failures are from one model: {SDXL}." in said
    assert "8 of 8 failures are from this model; 80.0% of its jobs failed." in said
    assert page.press(f"Disable {SDXL}") == f"{SDXL} disabled."
    [model] = db.execute("select enabled from models where id = %s", [SDXL]).fetchall()
    assert model == {"enabled": False}
    complete(db, 80)
    assert page.healthy("failure_rate")


def test_a_provider_in_trouble_is_told_from_a_bad_model(page, db):
    complete(db, 4)
    fail(db, "deadline_exceeded", 3)
    fail(db, "deadline_exceeded", 3, SDXL)
    said = page.read("failure_rate")
    assert "Most likely: **Most failures are provider errors." in said
    assert "6 of 6 failures are timeouts" in said
    assert "across 2 models" in said
    assert page.press("Pause queue") == "Queue paused."
    assert db.execute("select reason from queue_pauses").fetchall()
    complete_paused = db.execute("select claim_next_job()").fetchall()
    assert complete_paused == []
    db.execute("select resume_queue('me')")
    complete(db, 60)
    assert page.healthy("failure_rate")


def test_one_kind_of_error_is_named(page, db):
    complete(db, 6)
    fail(db, "not_an_image", 5)
    fail(db, "too_large", 1)
    said = page.read("failure_rate")
    assert "Output is not an image" in said
    page.press("Retry 5 jobs")
    complete(db, 60)
    assert page.healthy("failure_rate")


def test_few_failures_are_no_symptom(page, db):
    complete(db, 19)
    fail(db, "prediction_failed", 1)
    assert page.healthy("failure_rate")
