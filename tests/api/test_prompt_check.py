"""A team's prompt check: before any prediction, whoever creates it, and nothing passes by error."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from lib.provider.simulator.predictions import Predictions

SCHNELL = "black-forest-labs/flux-schnell"
SENTENCE = "Foxes are not allowed here. Ask for another animal."
seen: list[tuple[str, UUID | None, str]] = []


def plain_check(prompt: str, user_id: UUID | None, model_id: str) -> Any:
    seen.append((prompt, user_id, model_id))
    if "fox" in prompt:
        return SENTENCE
    if "crash" in prompt:
        raise RuntimeError(prompt)
    return {"yes": True, "empty": " "}.get(prompt)


async def async_check(prompt: str, user_id: UUID | None, model_id: str) -> Any:
    await asyncio.sleep(0)
    return plain_check(prompt, user_id, model_id)


@pytest.fixture(params=["plain_check", "async_check"])
def more_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    seen.clear()
    return {"DARKROOM_PROMPT_CHECK": f"test_prompt_check:{request.param}"}


@pytest.fixture
def paid(served: Any) -> Any:
    """Prompts that the provider has predictions of."""

    def paid() -> list[str]:
        book = Predictions(served.settings.data / "replicate")
        records = book.newest(after=0, before=1e12, below=None, limit=100)
        return [record.input["prompt"] for record in records]

    return paid


@pytest.fixture
def start(call: Any, db: Any) -> Any:
    def start(prompt: str, **fields: Any) -> dict[str, Any]:
        made = call("start-generation", {"prompt": prompt, "model_id": SCHNELL} | fields)
        assert made.status_code == 200
        answer: dict[str, Any] = made.json()
        return answer

    return start


def outcome(db: Any, made: dict[str, Any]) -> dict[str, Any]:
    row = db.execute(
        "select q.status, q.error_details ->> 'code' as code, g.status as shown, g.error_code,"
        " g.error_message from job_queue q, image_generations g where q.id = %s and g.id = %s",
        [made["job_id"], made["generation_id"]],
    ).fetchone()
    assert row
    found: dict[str, Any] = row
    return found


@pytest.mark.parametrize("function", ["process-generation", "process-jobs"])
def test_a_refused_prompt_is_never_sent(call, start, db, paid, function):
    user = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()["id"]
    made = start("A fox", user_id=str(user))
    body = {"generation_id": made["generation_id"]} if function == "process-generation" else {}
    assert call(function, body).json()["errors"] == 1
    assert outcome(db, made) == {
        "status": "failed", "code": "refused", "shown": "failed", "error_code": "refused",
        "error_message": SENTENCE,
    }  # fmt: skip
    assert seen == [("A fox", user, SCHNELL)]
    assert paid() == []
    assert db.execute("select from predictions").fetchall() == []
    # Nor is it tried again, or known of the provider.
    assert call("process-jobs", {}).json()["processed"] == 0


def test_another_prompt_passes(call, start, db, paid):
    made = start("A lighthouse")
    assert call("process-jobs", {}).json() | {"message": ""} == {
        "success": True, "processed": 1, "errors": 0, "running": 0, "message": "",
    }  # fmt: skip
    assert outcome(db, made)["status"] == "completed"
    assert seen == [("A lighthouse", None, SCHNELL)]
    assert paid() == ["A lighthouse"]


@pytest.mark.parametrize("prompt", ["crash", "yes", "empty"])
def test_a_check_that_breaks_lets_nothing_pass_and_is_tried_again(call, start, db, paid, prompt):
    made = start(prompt)
    for _ in range(4):
        db.execute("update job_queue set scheduled_at = now()")
        assert call("process-jobs", {}).json()["errors"] == 1
    found = outcome(db, made)
    assert (found["status"], found["code"]) == ("pending", "prompt_check_failed")
    assert found["error_message"].startswith("The prompt could not be checked")
    assert "crash" not in found["error_message"]
    assert len(seen) == 4
    assert paid() == []
    assert db.execute("select from predictions").fetchall() == []


def test_a_refused_prompt_says_nothing_about_a_provider_that_is_down(call, start, db):
    made = start("A fox")
    db.execute(
        "insert into provider_breakers (provider, openings, opened_at, open_until)"
        " values ('replicate', 1, now(), now() - interval '1 second')"
        " on conflict (provider) do update set open_until = excluded.open_until"
    )
    assert call("process-jobs", {}).json()["errors"] == 1
    assert outcome(db, made)["code"] == "refused"
    assert db.execute("select open_until from provider_breakers").fetchone()["open_until"]


def test_a_check_that_takes_too_long_lets_nothing_pass(call, start, db, paid, monkeypatch):
    monkeypatch.setattr("lib.generation.prompt_check.CHECK_SECONDS", 0)
    made = start("A lighthouse")
    assert call("process-jobs", {}).json()["errors"] == 1
    assert outcome(db, made)["code"] == "prompt_check_failed"
    assert paid() == []
