"""application and metadata: the caller's own words, kept and returned with a generation."""

import json
from typing import Any
from uuid import UUID

import pytest

from lib.client import StartRefused, start_image_generation
from lib.queue.following import follow_generation

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
LABELS = {"application": "Postcards", "metadata": {"order": 7, "tags": ["ü", None, {"a": 1.5}]}}


def test_they_are_kept_and_returned(call, served, db, database):
    started = start_image_generation(
        served.url, served.keys.secret, idempotency_key="one", **GENERATION, **LABELS
    )
    assert (started.application, started.metadata) == tuple(LABELS.values())
    assert call("process-jobs", {}).json()["processed"] == 1
    rows = db.execute(
        "select application, metadata from image_generations"
        " union all select application, metadata from predictions"
    ).fetchall()
    assert rows == [LABELS, LABELS]
    updates = list(follow_generation(started.generation_id, database_url=database, timeout=20))
    assert (updates[-1].status, updates[-1].application, updates[-1].metadata) == (
        "completed", *LABELS.values(),
    )  # fmt: skip


def test_a_repeated_request_has_the_same_and_another_is_refused(call, served):
    def post(labels: dict[str, Any]) -> Any:
        headers = {"apikey": served.keys.secret, "idempotency-key": "one"}
        return call("start-generation", GENERATION | labels, headers=headers)

    first, again = post(LABELS), post(LABELS)
    assert first.json() == again.json()
    assert {name: first.json()[name] for name in LABELS} == LABELS
    for other in ({}, LABELS | {"application": "Posters"}, LABELS | {"metadata": {"order": 8}}):
        assert post(other).status_code == 409


def test_without_them_the_answer_says_null(call):
    answer = call("start-generation", GENERATION).json()
    assert (answer["application"], answer["metadata"]) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("application", "", "1 to 100 characters"),
        ("application", "x" * 101, "1 to 100 characters"),
        ("application", 7, "valid string"),
        ("application", "nul \x00", "NUL"),
        ("metadata", "text", "valid dictionary"),
        ("metadata", [1], "valid dictionary"),
        ("metadata", {"a": "x" * 2048}, "2,048 bytes"),
        ("metadata", {"a": ["nul \x00"]}, "NUL"),
        ("metadata", {"\ud800": 1}, "valid Unicode"),
    ],
)
def test_what_cannot_be_kept_is_an_invalid_field(call, db, field, value, problem):
    raw = json.dumps(GENERATION | {field: value}).encode()
    answer = call("start-generation", content=raw)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert problem in answer.json()["error"]["message"]
    assert db.execute("select from image_generations").fetchone() is None


def test_a_backslash_before_u0000_is_no_nul(call):
    labels = {"metadata": {"a": "\\u0000"}}
    assert call("start-generation", GENERATION | labels).json()["metadata"] == labels["metadata"]


def test_infinity_is_refused_wherever_it_is(call):
    raw = json.dumps(GENERATION | {"metadata": {"a": [0]}}).replace("[0]", "[1e400]")
    answer = call("start-generation", content=raw.encode())
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "metadata")


def test_the_client_raises_what_is_wrong(served):
    with pytest.raises(StartRefused, match="2,048 bytes") as refused:
        start_image_generation(
            served.url, served.keys.secret, idempotency_key="one", **GENERATION,
            metadata={"a": "x" * 3000},
        )  # fmt: skip
    assert refused.value.field == "metadata"


def test_jobs_of_a_test_run_have_them_too_and_a_repetition_copies_them(call, db):
    run = "00000000-0000-0000-0000-00000000000a"
    db.execute("select start_test_run('me', %s, 'a', '{m}', '{}', 2)", [run])
    asked = GENERATION | LABELS | {"test": True, "test_run": {"id": run, "jobs": 2}}
    made = call("start-generation", asked).json()
    assert call("process-jobs", {}).json()["processed"] == 2
    again = db.execute(
        "select run_job_again('me', %s, %s, 'A fox', '{}', '{}') as id",
        [made["job_id"], UUID(int=9)],
    ).fetchone()
    assert again["id"]
    rows = db.execute("select application, metadata from image_generations").fetchall()
    assert rows == [LABELS] * 3
