"""What may be paid for is written down before, and each prediction has one owner."""

import json
from hashlib import sha256

from queue_calls import GENERATION, OTHER

RECORD = "select record_prediction(%s, %s, %s, %s)"
ROWS = "select provider_id, status, attempt from predictions order by created_at"
OTHER_GENERATION = "bbbbbbbb-2222-2222-2222-222222222222"


def begun(queue, job_id, attempt=1):
    """What the attempt is to do, of its one generation."""
    [row] = queue.begin(job_id, attempt=attempt)
    return row


def test_the_intent_is_there_before_any_answer(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    intent = begun(queue, job_id)
    assert intent["provider_id"] is None
    assert intent["intended_seconds"] is None, "this attempt's own"
    assert intent["input"]["prompt"] == "a fox"
    assert queue.rows(ROWS) == [{"provider_id": None, "status": "intended", "attempt": 1}]
    # The same attempt asks again, as after a lost answer.
    assert begun(queue, job_id)["prediction"] == intent["prediction"]


def test_a_seed_of_ours_tells_two_generations_with_one_prompt_apart(queue):
    model = "black-forest-labs/flux-schnell"
    inputs = []
    for generation in (GENERATION, OTHER_GENERATION):
        job_id = queue.claimed(generation_id=generation, prompt="a fox", model_id=model)
        inputs.append(begun(queue, job_id)["input"])
    assert inputs[0]["seed"] != inputs[1]["seed"]
    assert all(0 <= each["seed"] < 2**31 for each in inputs)


def test_a_seed_that_was_asked_for_is_kept(queue):
    job_id = queue.claimed(
        generation_id=GENERATION, prompt="a fox", model_id="black-forest-labs/flux-schnell",
        parameters={"seed": 7},
    )  # fmt: skip
    assert begun(queue, job_id)["input"]["seed"] == 7


def test_file_data_is_sent_and_only_its_digest_kept(queue):
    data, other = ("data:image/png;base64," + letter * 90_000 for letter in "AB")
    job_id = queue.claimed(
        generation_id=GENERATION, prompt="data: a fox", model_id="somebody/model",
        parameters={"image": data, "images": [other, "https://a/1.png", 3], "scale": 2},
    )  # fmt: skip
    sent = {
        "prompt": "data: a fox", "image": data, "images": [other, "https://a/1.png", 3], "scale": 2
    }  # fmt: skip
    intent = begun(queue, job_id)
    assert intent["input"] == sent
    kept = queue.one("select input from predictions")
    digest = sha256(data.encode()).hexdigest()
    assert kept["image"] == f"data:image/png;sha256,{digest};{len(data)}"
    assert kept["images"][0].startswith("data:image/png;sha256,")
    assert (kept["images"][1:], kept["scale"]) == (["https://a/1.png", 3], 2)
    assert len(json.dumps(kept)) < 500
    # Of the next attempt, and of the next prediction.
    queue.make_silent(job_id)
    queue.reset()
    queue.claim(worker=OTHER)
    assert begun(queue, job_id, attempt=2)["input"] == sent
    again = "select input_to_send(p) from replace_prediction(%s, 2, %s, 'failed') as p"
    assert queue.one(again, job_id, intent["prediction"]) == sent


def test_the_next_attempt_looks_for_the_intent_or_follows_its_prediction(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    first = begun(queue, job_id)
    queue.make_silent(job_id)
    queue.reset()
    queue.claim(worker=OTHER)
    again = begun(queue, job_id, attempt=2)
    assert again["prediction"] == first["prediction"]
    assert again["intended_seconds"] >= 0
    # The first attempt's answer comes after all.
    assert queue.one(RECORD, job_id, 1, "p1", first["prediction"]) == "lost"
    assert begun(queue, job_id, attempt=2)["provider_id"] == "p1"
    assert queue.one("select prediction_id from image_generations") == "p1"
    assert queue.one(RECORD, job_id, 2, "p2", first["prediction"]) == "unwanted"
    assert queue.rows(ROWS) == [{"provider_id": "p1", "status": "starting", "attempt": 1}]


def test_a_prediction_belongs_to_one_intent(queue):
    owners = []
    for generation in (GENERATION, OTHER_GENERATION):
        job_id = queue.claimed(generation_id=generation, prompt="a fox")
        owners.append((job_id, begun(queue, job_id)["prediction"]))
    assert queue.one(RECORD, owners[0][0], 1, "p1", owners[0][1]) == "held"
    assert queue.one(RECORD, owners[1][0], 1, "p1", owners[1][1]) == "taken"
    adopt = "select adopt_prediction(%s, 1, %s, %s)"
    assert queue.one(adopt, *owners[1], ["p1", "p2"]) == "p2"
    assert queue.one(adopt, *owners[1], ["p1"]) is None


def test_a_prediction_that_failed_is_replaced(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    first = begun(queue, job_id)["prediction"]
    queue.one(RECORD, job_id, 1, "p1", first)
    end = "select end_prediction(%s, 1, %s, 'failed', 'No.', 'log', 1.5, 0)"
    assert queue.one(end, job_id, first) is True
    queue.fail(job_id)
    queue.make_due(job_id)
    queue.claim()
    second = begun(queue, job_id, attempt=2)
    assert (second["provider_id"], second["intended_seconds"]) == (None, None)
    assert [row["status"] for row in queue.rows(ROWS)] == ["failed", "intended"]


def test_an_attempt_that_lost_its_claim_does_not_end_the_prediction_of_the_next(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    first = begun(queue, job_id)["prediction"]
    queue.one(RECORD, job_id, 1, "p1", first)
    queue.make_silent(job_id)
    queue.reset()
    queue.claim(worker=OTHER)
    begun(queue, job_id, attempt=2)
    end = "select end_prediction(%s, 1, %s, 'canceled', 'Took too long.', 'log', null, 0)"
    assert queue.one(end, job_id, first) is False
    assert queue.rows(ROWS) == [{"provider_id": "p1", "status": "starting", "attempt": 1}]
    # That attempt is lost too: the third follows the same prediction.
    queue.make_silent(job_id)
    queue.reset()
    queue.claim(worker=OTHER)
    assert begun(queue, job_id, attempt=3)["provider_id"] == "p1"


def test_of_a_log_the_end_is_stored_and_of_an_error_the_beginning(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    prediction = begun(queue, job_id)["prediction"]
    queue.one(RECORD, job_id, 1, "p1", prediction)
    end = (
        "select end_prediction(%s, 1, %s, 'failed', repeat('a', 16000) || repeat('b', 9000000),"
        " repeat('c', 9000000) || repeat('d', 16000), 1, 0)"
    )
    assert queue.one(end, job_id, prediction) is True
    [row] = queue.rows("select error, log from predictions")
    assert row == {"error": "a" * 16_000, "log": "d" * 16_000}


def test_an_intent_of_which_nothing_was_started_is_taken_back(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    intent = begun(queue, job_id)["prediction"]
    queue.one("select drop_intent(%s)", intent)
    assert queue.rows(ROWS) == []
    assert begun(queue, job_id)["intended_seconds"] is None


def test_what_is_unknown_is_kept_and_counted(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    intent = begun(queue, job_id)["prediction"]
    replaced = queue.rows("select * from replace_prediction(%s, 1, %s, 'unknown')", job_id, intent)
    assert replaced[0]["status"] == "intended"
    assert [row["status"] for row in queue.rows(ROWS)] == ["unknown", "intended"]
    # A worker that no longer has the claim replaces nothing.
    queue.make_silent(job_id)
    queue.reset()
    lost = "select * from replace_prediction(%s, 1, %s, 'unknown')"
    assert queue.rows(lost, job_id, replaced[0]["id"]) == []


def test_only_what_nobody_follows_is_cancelled(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    queue.one(RECORD, job_id, 1, "p1", begun(queue, job_id)["prediction"])
    unwanted = "select unwanted_predictions(%s)::text"
    assert queue.rows(unwanted, job_id) == []
    queue.cancel(job_id)
    assert queue.one(unwanted, job_id) == "(p1,replicate,)"
    assert queue.rows(unwanted, job_id) == [], "told once"


OUTPUT = "select record_output(%s, %s, %s, %s, 'u', %s, 'image/png', 8, 8, 99, %s)"
STORED = "select index, storage_path from outputs order by index"


def test_outputs_are_recorded_by_the_claims_holder_and_given_to_the_next_attempt(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    prediction = begun(queue, job_id)["prediction"]
    queue.one(RECORD, job_id, 1, "p1", prediction)
    for index in (0, 1, 1):
        path = f"a/{index}.png"
        assert queue.one(OUTPUT, job_id, 1, prediction, index, path, f"a/{index}.webp") == []
    queue.one(
        "select end_prediction(%s, 1, %s, 'succeeded', null, '', 1, 95, 3)", job_id, prediction
    )
    queue.make_silent(job_id)
    queue.reset()
    queue.claim(worker=OTHER)
    again = begun(queue, job_id, attempt=2)
    assert (again["outputs_made"], [one["index"] for one in again["outputs"]]) == (3, [0, 1])
    # The first attempt goes on after all.
    assert queue.one(OUTPUT, job_id, 1, prediction, 2, "late", None) is None
    assert queue.rows(STORED) == [
        {"index": 0, "storage_path": "a/0.png"},
        {"index": 1, "storage_path": "a/1.png"},
    ]


def test_outputs_of_another_prediction_take_the_place_of_those_before(queue):
    job_id = queue.claimed(generation_id=GENERATION, prompt="a fox")
    first = begun(queue, job_id)["prediction"]
    queue.one(RECORD, job_id, 1, "p1", first)
    for index in range(3):
        queue.one(OUTPUT, job_id, 1, first, index, f"a/{index}.png", f"a/{index}.webp")
    replace = "select id from replace_prediction(%s, 1, %s, 'expired')"
    second = queue.one(replace, job_id, first)
    assert begun(queue, job_id)["outputs"] == []
    gone = queue.one(OUTPUT, job_id, 1, second, 0, "a/0.jpg", "a/0.webp")
    assert sorted(gone) == ["a/0.png", "a/1.png", "a/1.webp", "a/2.png", "a/2.webp"]
    assert queue.rows(STORED) == [{"index": 0, "storage_path": "a/0.jpg"}]
