"""How a claim ends: completed, failed, or lost to somebody else."""

import json

import pytest
from queue_calls import GENERATION, OTHER

OTHER_GENERATION = "22222222-2222-2222-2222-222222222222"


def complete_all(queue, *claims):
    """Completes (job, attempt, result) at once; returns the lost (job, attempt)."""
    jobs, attempts, results = zip(*claims, strict=True)
    lost = queue.rows(
        "select * from complete_jobs(%s, %s, %s::jsonb[])",
        list(jobs),
        list(attempts),
        [None if result is None else json.dumps(result) for result in results],
    )
    return {(row["job_id"], row["attempt"]) for row in lost}


def test_a_success_completes_job_and_generation(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    result = json.dumps(
        {"image_url": "https://images/1", "storage_path": "a/1.png", "thumbnail_path": "a/1.webp"}
    )
    end = queue.one("select complete_job(%s, p_attempt => 1, p_result => %s)", job_id, result)
    assert (end, queue.status(job_id), queue.lease(job_id)) == ("completed", "completed", None)
    job, generation = queue.job(job_id), queue.generation()
    assert (generation["status"], generation["progress"]) == ("completed", 100)
    assert generation["image_url"] == "https://images/1"
    assert generation["storage_path"] == "a/1.png"
    assert generation["thumbnail_path"] == "a/1.webp"
    assert generation["completed_at"] == job["completed_at"]


def test_a_late_writer_changes_nothing(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    queue.make_silent(job_id)
    assert queue.reset() == {job_id}
    assert queue.claim(worker=OTHER) == [job_id]
    queue.begin(job_id, attempt=2)
    before = queue.job(job_id), queue.lease(job_id), queue.generation()

    assert queue.complete(job_id, attempt=1) == "lost"
    assert queue.one("select complete_job(%s, false, 'late', null, 1)", job_id) == "lost"
    assert complete_all(queue, (job_id, 1, {"image_url": "late"})) == {(job_id, 1)}
    assert queue.begin(job_id) == []
    assert queue.one("select record_progress(%s, 1, 99)", job_id) is False
    # The next attempt follows what this one created.
    assert queue.one("select record_prediction(%s, 1, 'late')", job_id) == "lost"
    assert queue.heartbeat(job_id) == [{"job_id": job_id, "attempt": 1, "status": "processing"}]
    assert (queue.job(job_id), queue.lease(job_id), queue.generation()) == before
    # Also beside the second claim, if one worker has had both.
    both = "select attempt from heartbeat_jobs(%s, array[%s, %s]::uuid[], array[1, 2])"
    assert queue.rows(both, OTHER, job_id, job_id) == [{"attempt": 1}]
    assert queue.complete(job_id, attempt=2) == "completed"


def test_many_end_at_once_and_the_lost_ones_are_told_exactly(queue):
    held, bare, taken = queue.claimed(generation_id=GENERATION), queue.claimed(), queue.claimed()
    cancelled = queue.claimed(generation_id=OTHER_GENERATION)
    for job_id in (held, cancelled):
        queue.begin(job_id)
    queue.make_silent(taken)
    queue.reset(taken)
    queue.claim(worker=OTHER)
    queue.cancel(cancelled)
    waiting, missing = queue.enqueue(), queue.one("select gen_random_uuid()")

    assert complete_all(
        queue,
        (taken, 1, {"image_url": "late"}),
        (held, 1, {"image_url": "https://images/1", "storage_path": "a/1.png"}),
        (cancelled, 1, {"image_url": "late"}),
        (bare, 1, None),
        (waiting, 0, None),
        (missing, 1, None),
    ) == {(taken, 1), (cancelled, 1), (waiting, 0), (missing, 1)}

    states = [queue.status(j) for j in (held, bare, taken, cancelled, waiting)]
    assert states == ["completed", "completed", "processing", "cancelled", "pending"]
    assert queue.lease(held) is queue.lease(bare) is None
    assert queue.lease(taken)["attempt"] == 2
    generation = queue.generation()
    assert (generation["status"], generation["progress"]) == ("completed", 100)
    assert (generation["image_url"], generation["storage_path"]) == ("https://images/1", "a/1.png")
    assert generation["completed_at"] == queue.job(held)["completed_at"]
    dropped = queue.generation(OTHER_GENERATION)
    assert (dropped["status"], dropped["image_url"]) == ("cancelled", None)


def test_of_an_old_and_the_current_claim_of_one_job_only_the_old_is_lost(queue):
    job_id = queue.claimed()
    queue.make_silent(job_id)
    queue.reset()
    queue.claim()
    assert complete_all(queue, (job_id, 1, None), (job_id, 2, None)) == {(job_id, 1)}
    assert queue.status(job_id) == "completed"


def test_a_batch_that_waited_for_a_rescue_has_lost_that_job(queue, second, blocked):
    kept, silent = queue.claimed(), queue.claimed()
    queue.make_silent(silent)
    with queue.db.transaction():
        assert queue.rescue() == {silent}
        batch = blocked(lambda: complete_all(second, (kept, 1, None), (silent, 1, None)))
    assert batch.result() == {(silent, 1)}
    assert (queue.status(kept), queue.status(silent)) == ("completed", "pending")


def test_a_permanent_error_fails_at_once(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    assert queue.fail(job_id, permanent=True, code="model_not_found") == "failed"
    job, generation = queue.job(job_id), queue.generation()
    assert (job["attempts"], job["max_attempts"], job["error_message"]) == (1, 3, "no luck")
    assert job["error_details"]["code"] == "model_not_found"
    assert (generation["status"], generation["error_message"]) == ("failed", "no luck")
    assert generation["completed_at"] == job["completed_at"]


@pytest.mark.parametrize("code", ["storage_failed", "outputs_expired"])
def test_what_is_not_the_fault_of_the_job_uses_up_no_attempt_within_limits(queue, code):
    job_id = queue.enqueue(max_attempts=1)
    for attempt in range(1, 31):
        queue.make_due(job_id)
        queue.claim()
        status = queue.fail(job_id, code=code)
        assert status == ("pending" if attempt < 30 else "failed")
    assert queue.job(job_id)["attempts"] == 30


def test_of_a_prediction_without_outputs_nothing_is_expected_any_more(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    assert queue.one("select record_prediction(%s, 1, 'p1')", job_id)
    for attempt, code, left in ((1, "storage_failed", "p1"), (2, "outputs_expired", None)):
        assert queue.job(job_id)["attempts"] == attempt
        queue.fail(job_id, code=code)
        assert queue.generation()["prediction_id"] == left
        queue.make_due(job_id)
        queue.claim()


@pytest.mark.parametrize("permanent", [False, "true", None, 1])
def test_an_error_is_permanent_only_when_it_says_true(queue, permanent):
    assert queue.fail(queue.claimed(), permanent=permanent) == "pending"


def test_a_passing_error_queues_the_generation_again(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    queue.one("select record_progress(%s, 1, 40)", job_id)
    assert queue.fail(job_id) == "pending"
    generation = queue.generation()
    assert (generation["status"], generation["progress"]) == ("queued", 0)
    assert queue.lease(job_id) is None


def test_progress_never_goes_back_nor_beyond_the_whole(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    shown = []
    for percent in (40, 30, 60, -5, 120):
        assert queue.one("select record_progress(%s, 1, %s)", job_id, percent) is True
        shown.append(queue.generation()["progress"])
    assert shown == [40, 40, 60, 60, 100]


def test_the_errors_of_all_attempts_are_kept_in_order(queue):
    job_id = queue.enqueue()
    for attempt in (1, 2, 3):
        queue.make_due(job_id)
        queue.claim()
        details = json.dumps({"code": f"c{attempt}"})
        queue.one("select complete_job(%s, false, %s, %s)", job_id, f"error {attempt}", details)
    found = queue.one("select error_message, error_details from failed_jobs_recent")
    assert (found["error_message"], found["error_details"]["code"]) == ("error 3", "c3")
    entries = found["error_details"]["attempts"]
    assert [(e["attempt"], e["error"], e["details"]) for e in entries] == [
        (n, f"error {n}", {"code": f"c{n}"}) for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, {}),
        ("null", {}),
        ("{}", {}),
        ('"x"', {"details": "x"}),
        ("[]", {"details": []}),
        ('["code", "permanent"]', {"details": ["code", "permanent"]}),
        ("5", {"details": 5}),
    ],
)
def test_details_that_are_no_object_are_kept_in_one(queue, given, kept):
    job_id = queue.enqueue()
    for attempt in (1, 2):
        queue.make_due(job_id)
        queue.claim()
        assert queue.one("select complete_job(%s, false, 'e', %s)", job_id, given) == "pending"
        found = dict(queue.job(job_id)["error_details"])
        entries = found.pop("attempts")
        assert found == kept
        assert [entry["details"] for entry in entries] == [kept] * attempt


def test_an_error_of_any_length_is_cut_where_it_is_stored(queue):
    job_id = queue.claimed(generation_id=GENERATION)
    queue.begin(job_id)
    fail = "select complete_job(%s, false, %s, %s)"
    details = json.dumps({"code": "c" * 9_000_000, "permanent": True, "body": "d" * 9_000_000})
    assert queue.one(fail, job_id, "é" * 9_000_000, details) == "failed"
    job = queue.job(job_id)
    assert job["error_message"] == "é" * 16_000 == queue.generation()["error_message"]
    [entry] = job["error_details"]["attempts"]
    assert entry["error"] == "é" * 16_000
    assert (job["error_details"]["code"], job["error_details"]["permanent"]) == ("c" * 200, True)
    assert len(job["error_details"]["details"]) == 16_000
    # By no function at all.
    queue.db.execute("update job_queue set error_message = repeat('e', 9000000)")
    assert queue.job(job_id)["error_message"] == "e" * 16_000


def test_the_reasons_of_a_rate_limit_and_of_an_open_circuit_are_cut(queue):
    for code in ("rate_limited", "unreachable"):
        job_id = queue.claimed(model_id=code)
        fail = "select complete_job(%s, false, repeat('e', 9000000), %s)"
        queue.one(fail, job_id, json.dumps({"code": code}))
    reasons = "select reason from model_holds union all select reason from provider_breakers"
    assert [len(row["reason"]) for row in queue.rows(reasons)] == [2000, 2000]


def test_the_errors_stay_after_a_late_success(queue):
    job_id = queue.claimed()
    queue.fail(job_id)
    queue.make_due(job_id)
    queue.claim()
    queue.complete(job_id)
    job = queue.job(job_id)
    assert job["error_message"] is None
    assert [e["attempt"] for e in job["error_details"]["attempts"]] == [1]


def test_a_completed_generation_stays_completed(queue):
    first = queue.claimed(generation_id=GENERATION)
    queue.begin(first)
    queue.complete(first)
    again = queue.claimed(generation_id=GENERATION)
    assert queue.begin(again)[0]["status"] == "completed"
    queue.fail(again, permanent=True)
    assert queue.generation()["status"] == "completed"


def test_a_completed_generation_keeps_its_image(queue):
    first = queue.claimed(generation_id=GENERATION)
    queue.begin(first)
    assert complete_all(queue, (first, 1, {"image_url": "https://images/1"})) == set()
    before = queue.generation()
    for end in ("complete_jobs", "complete_job"):
        again = queue.claimed(generation_id=GENERATION)
        queue.begin(again)
        if end == "complete_jobs":
            assert complete_all(queue, (again, 1, {"image_url": "https://images/2"})) == set()
        else:
            queue.one("select complete_job(%s, p_result => %s)", again, '{"image_url": "2"}')
        assert queue.status(again) == "completed"
        assert queue.generation() == before
