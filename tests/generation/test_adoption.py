"""Creations whose answer is of no use: the list shows what was paid for."""

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from bookkeeper import Bookkeeper
from PIL import Image

from lib.database import AsyncPool, open_async_pool
from lib.database.pool import Connection
from lib.generation.generate_image import GenerationHandler
from lib.provider import PredictionList, ProviderError
from lib.provider.providers import Providers
from lib.provider.replicate.client import Replicate
from lib.queue.worker_calls import Queue
from lib.storage.local import LocalStorage
from lib.worker.worker import Worker

SCHNELL = "black-forest-labs/flux-schnell"
Work = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncPool]:
    pool = await open_async_pool(database, application_name="darkroom worker")
    yield pool
    await pool.close()


@pytest.fixture
def book(make_bookkeeper: Callable[..., Bookkeeper]) -> Bookkeeper:
    return make_bookkeeper(run_seconds=0.05)


@pytest.fixture
async def work(
    db: Connection, database: str, pool: AsyncPool, book: Bookkeeper, tmp_path: Path
) -> AsyncIterator[Work]:
    """Runs one generation for each prompt until all have ended; their jobs by prompt.

    Waits between attempts are skipped.
    """
    db.execute("update job_types set provider = null")
    db.execute("update models set input_schema = null")
    replicate = Replicate("r8_any", book.base_url, max_wait=0)
    storage = LocalStorage(tmp_path / "images", "")

    async def run(
        *prompts: str,
        deadline: float = 20,
        parameters: Mapping[str, Any] | None = None,
        attempts: int = 3,
    ) -> dict[str, Any]:
        handler = GenerationHandler(
            Queue(pool), Providers(replicate), storage, deadline_seconds=deadline
        )
        worker = Worker(
            pool,
            pool,
            {"generate-image": handler},
            kind="worker",
            concurrency=10,
            heartbeat_seconds=1,
            rescue_seconds=600,
            batch=50,
        )
        for prompt in prompts:
            arguments = [prompt, SCHNELL, json.dumps(parameters or {})]
            db.execute("select start_generation(null, %s, %s, %s, 'test')", arguments)
        db.execute("update job_queue set max_attempts = %s", [attempts])
        task = asyncio.create_task(worker.run(database, poll_seconds=0.02, stop_grace_seconds=0))
        left = "select id from job_queue where status in ('pending', 'processing')"
        async with asyncio.timeout(30):
            while db.execute(left).fetchone():
                db.execute("update job_queue set scheduled_at = now() where status = 'pending'")
                await asyncio.sleep(0.02)
        worker.stop()
        await task
        jobs = "select payload ->> 'prompt' as prompt, status, error_details from job_queue"
        return {row["prompt"]: row for row in db.execute(jobs).fetchall()}

    yield run
    await replicate.aclose()


def codes(job: dict[str, Any]) -> list[str]:
    return [each["details"]["code"] for each in job["error_details"]["attempts"]]


@pytest.mark.parametrize("tag", ["[500]", "[unreadable]", "[bad id]", "[nul id]", "[11 MB]"])
async def test_an_answer_without_a_usable_id_is_looked_up(work, book, tag):
    job = (await work(tag))[tag]
    assert (job["status"], book.paid()[tag]) == ("completed", 1)
    assert codes(job) == ["provider_error" if tag == "[500]" else "unexpected_answer"]


@pytest.fixture
def interrupted(db: Connection) -> Callable[[int], dict[str, Any]]:
    """A pending job whose first attempt sent its request so many minutes ago; its intent."""

    def make(minutes: int) -> dict[str, Any]:
        db.execute("select start_generation(null, 'a fox', %s, '{}', 'test')", [SCHNELL])
        db.execute("select claim_next_job()")
        begin = "select begun.* from job_queue q, begin_generation(q.id, 1) as begun"
        intent = db.execute(begin).fetchone()
        db.execute(
            "select complete_job(id, false, 'Lost.', %s) from job_queue",
            ['{"code": "unreachable"}'],
        )
        age = "update predictions set created_at = created_at - %s * interval '1 minute'"
        db.execute(age, [minutes])
        assert intent
        return intent

    return make


@pytest.mark.parametrize(
    ("minutes", "statuses"), [(54, ["succeeded"]), (56, ["unknown", "succeeded"])]
)
async def test_what_the_list_does_not_show_is_unknown_once_inputs_may_be_gone(
    work, db, book, interrupted, minutes, statuses
):
    interrupted(minutes)
    assert (await work())["a fox"]["status"] == "completed"
    rows = db.execute("select status from predictions order by created_at").fetchall()
    assert [row["status"] for row in rows] == statuses
    assert book.paid() == {"a fox": 1}


@pytest.mark.parametrize("minutes", [54, 56])
async def test_what_the_list_shows_is_adopted_at_any_age(work, db, book, interrupted, minutes):
    intent = interrupted(minutes)
    replicate = Replicate("r8_any", book.base_url)
    created = await replicate.create(SCHNELL, intent["input"])
    await replicate.aclose()
    assert (await work())["a fox"]["status"] == "completed"
    assert db.execute("select provider_id from predictions").fetchall() == [
        {"provider_id": created.id}
    ]
    assert book.paid() == {"a fox": 1}


@pytest.mark.parametrize("code", ["creation_unknown", "provider_error"])
async def test_a_list_that_is_incomplete_or_unavailable_proves_nothing(
    work, book, interrupted, monkeypatch, code
):
    async def list_since(*_args: Any) -> PredictionList:
        if code == "provider_error":
            raise ProviderError("Down.", code=code)
        return PredictionList([], complete=False)

    monkeypatch.setattr(Replicate, "list_since", list_since)
    interrupted(54)
    job = (await work())["a fox"]
    assert (job["status"], set(codes(job)[1:]), book.paid()) == ("failed", {code}, {})


async def test_a_slow_creation_counts_towards_the_deadline(work, book):
    prompt = "[late 1] [takes 2.5]"
    job = (await work(prompt, deadline=2, attempts=1))[prompt]
    assert (job["status"], codes(job)) == ("failed", ["deadline_exceeded"])
    assert "took longer than 2 s" in job["error_details"]["attempts"][0]["error"]
    created, cancelled = book.entries()
    assert (cancelled.event, cancelled.id) == ("cancelled", created.id)
    assert cancelled.at - created.at < 2.4


async def test_file_data_is_sent_and_found_in_the_list(work, db, book):
    file = BytesIO()
    Image.frombytes("RGB", (160, 160), random.Random(1).randbytes(160 * 160 * 3)).save(file, "PNG")
    image = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    job = (await work("[500]", parameters={"image": image}))["[500]"]
    assert (job["status"], book.paid()["[500]"]) == ("completed", 1)
    assert book.entries()[0].input["image"] == image
    [row] = db.execute("select input from predictions").fetchall()
    assert row["input"]["image"].startswith("data:image/png;sha256,")


async def test_an_unknown_status_of_a_new_prediction_is_followed(work, book):
    job = (await work("[odd status]"))["[odd status]"]
    assert (job["status"], job["error_details"]) == ("completed", None)
    assert book.paid()["[odd status]"] == 1


async def test_an_id_that_the_provider_does_not_know_is_looked_up(work, db, book):
    job = (await work("[wrong id]"))["[wrong id]"]
    assert (job["status"], book.paid()["[wrong id]"]) == ("completed", 1)
    assert codes(job) == ["creation_unknown"]
    [row] = db.execute("select provider_id, status from predictions").fetchall()
    assert row == {"provider_id": book.entries()[0].id, "status": "succeeded"}


async def test_a_prediction_that_is_not_found_for_a_while_is_paid_once(work, book):
    prompt = "[missing 3]"
    job = (await work(prompt))[prompt]
    assert (job["status"], book.paid()[prompt]) == ("completed", 1)
    assert set(codes(job)) == {"creation_unknown"}
