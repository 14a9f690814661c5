"""Odd outputs and files of a provider: how the job ends, and what that costs."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from odd_outputs import OddProvider
from starlette.types import ASGIApp

from lib.database import open_async_pool
from lib.database.pool import Connection
from lib.generation import outputs
from lib.generation.generate_image import GenerationHandler
from lib.provider.providers import Providers
from lib.provider.replicate.client import Replicate
from lib.queue.worker_calls import Queue
from lib.storage.local import LocalStorage
from lib.worker.worker import Worker

SCHNELL = "black-forest-labs/flux-schnell"
COMPLETED = ("completed", None)
NO_IMAGE = ("failed", "prediction_failed")
NOT_AN_IMAGE = ("failed", "not_an_image")
NOT_FOUND = ("failed", "image_not_found")
UNREACHABLE = ("failed", "image_unreachable")


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    server.force_exit = True
    thread.join()


@pytest.fixture
def provider() -> OddProvider:
    return OddProvider()


@pytest.fixture
def run(
    db: Connection,
    database: str,
    provider: OddProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """Runs one generation for each prompt until all have ended; their jobs by prompt."""
    monkeypatch.setattr(outputs, "RENEWAL_SECONDS", 0.01)
    monkeypatch.setattr(outputs, "MIN_DOWNLOAD_SECONDS", 0.2)
    db.execute("update job_types set backoff_base_seconds = 0.01, backoff_max_seconds = 0.01")
    db.execute("update job_types set backoff_jitter = 0")

    async def until_ended(
        base_url: str, prompts: list[str], deadline: float, concurrency: int
    ) -> None:
        pool = await open_async_pool(database, application_name="darkroom worker")
        replicate = Replicate("r8_any", base_url, max_wait=0)
        storage = LocalStorage(tmp_path / "images", "")
        handler = GenerationHandler(
            Queue(pool), Providers(replicate), storage, deadline_seconds=deadline
        )
        worker = Worker(
            pool,
            pool,
            {"generate-image": handler},
            kind="worker",
            concurrency=concurrency,
            heartbeat_seconds=1,
            rescue_seconds=600,
            batch=50,
        )
        for prompt in prompts:
            arguments = [prompt, SCHNELL]
            db.execute("select start_generation(null, %s, %s, '{}', 'test')", arguments)
        task = asyncio.create_task(worker.run(database, poll_seconds=0.02, stop_grace_seconds=0))
        left = "select id from job_queue where status in ('pending', 'processing')"
        async with asyncio.timeout(60):
            while db.execute(left).fetchone():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        worker.stop()
        await task
        await replicate.aclose()
        await pool.close()

    def run(*prompts: str, deadline: float = 20, concurrency: int = 10) -> dict[str, Any]:
        asyncio.run(until_ended(base_url, list(prompts), deadline, concurrency))
        rows = db.execute(
            "select payload ->> 'prompt' as prompt, status, error_details ->> 'code' as code,"
            " attempts, error_message, error_details from job_queue"
        ).fetchall()
        return {row["prompt"]: row for row in rows}

    with serving(provider.app) as base_url, serving(provider.app) as provider.elsewhere:
        yield run


ENDINGS = {
    # Served as an image of another type, or of none: the bytes decide.
    "png": COMPLETED,
    "webp": COMPLETED,
    "jpeg": COMPLETED,
    "cmyk-jpeg": COMPLETED,
    "gif": COMPLETED,
    "avif": COMPLETED,
    "mpo": COMPLETED,
    "jpeg-as-png": COMPLETED,
    "octet-stream": COMPLETED,
    "binary": COMPLETED,
    "text-type": COMPLETED,
    "upper-type": COMPLETED,
    "no-type": COMPLETED,
    "large-profile": COMPLETED,
    "large-text": COMPLETED,
    # Not an image, or none that can be stored.
    "profile-bomb": NOT_AN_IMAGE,
    "text-bomb": NOT_AN_IMAGE,
    "pixel-bomb": NOT_AN_IMAGE,
    "empty": NOT_AN_IMAGE,
    "half": NOT_AN_IMAGE,
    "html": NOT_AN_IMAGE,
    "svg": COMPLETED,
    "svg-script": NOT_AN_IMAGE,
    "video": NOT_AN_IMAGE,
    "tiff": NOT_AN_IMAGE,
    "once-half": COMPLETED,
    # Forms of outputs.
    "text": COMPLETED,
    "data-uri": COMPLETED,
    "data-uri-list": COMPLETED,
    "data-uri-percent": COMPLETED,
    "data-uri-broken": NOT_AN_IMAGE,
    "data-uri-bare": NOT_AN_IMAGE,
    "null-first": COMPLETED,
    "blank-first": COMPLETED,
    "words-first": COMPLETED,
    "object": COMPLETED,
    "object-of-list": COMPLETED,
    "objects": COMPLETED,
    "nested": COMPLETED,
    "mixed": COMPLETED,
    "upper-scheme": COMPLETED,
    "space": COMPLETED,
    "unicode": COMPLETED,
    "null": NO_IMAGE,
    "null-only": NO_IMAGE,
    "empty-list": ("failed", "refused"),
    "empty-object": NO_IMAGE,
    "empty-text": NO_IMAGE,
    "words": NO_IMAGE,
    "number": NO_IMAGE,
    "false": NO_IMAGE,
    "relative": NO_IMAGE,
    "file": NO_IMAGE,
    # Refused by the server of the file, for good or once.
    **{f"status-{status}": NOT_FOUND for status in (304, 400, 401, 402, 403, 404, 410, 413, 422)},
    "once-status-403": COMPLETED,
    "renewed": COMPLETED,
    "emptied": NOT_FOUND,
    "forgotten": NOT_FOUND,
    # Not answered now.
    **{f"status-{status}": UNREACHABLE for status in (408, 425, 429, 500, 502, 503)},
    "once-status-429": COMPLETED,
    "once-status-503": COMPLETED,
    "cut": UNREACHABLE,
    "once-cut": COMPLETED,
    "false-gzip": UNREACHABLE,
    "invalid": NOT_FOUND,
    # Somewhere else.
    "redirect-relative": COMPLETED,
    "redirect-absolute": COMPLETED,
    "redirect-loop": NOT_FOUND,
    "redirect-data": NOT_FOUND,
    "redirect-file": NOT_FOUND,
    "redirect-internal": NOT_FOUND,
    "internal": NOT_FOUND,
    "metadata": NOT_FOUND,
}
ATTEMPTS = {NOT_AN_IMAGE: 1, NOT_FOUND: 1, NO_IMAGE: 1, ("failed", "refused"): 1, UNREACHABLE: 3}


@pytest.mark.slow
def test_odd_outputs_end_plainly_and_are_paid_for_once(run, db, provider):
    jobs = run(*ENDINGS)
    found = {
        prompt: (job["status"], (job["status"] == "failed" and job["code"]) or None)
        for prompt, job in jobs.items()
    }
    assert found == ENDINGS
    for prompt, ending in ENDINGS.items():
        assert provider.created[prompt] == 1, prompt
        if ending in ATTEMPTS:
            assert jobs[prompt]["attempts"] == ATTEMPTS[ending], prompt
    # A download may be cut off without an error.
    assert [provider.fetched[name] for name in ("half", "once-half")] == [2, 2]
    # What a file server does is not the provider's fault.
    assert db.execute("select provider from provider_breakers where failures > 0").fetchall() == []
    assert db.execute("select model_id from model_holds").fetchall() == []


def test_an_image_that_is_gone_is_paid_again_only_if_the_provider_may_have_removed_it(
    run, provider
):
    jobs = run("old-later", "later")
    assert jobs["old-later"]["status"] == "completed"
    codes = [each["details"]["code"] for each in jobs["old-later"]["error_details"]["attempts"]]
    assert codes == ["image_unreachable", "outputs_expired"]
    assert (jobs["later"]["status"], jobs["later"]["code"]) == NOT_FOUND
    assert provider.created == {"old-later": 2, "later": 1}


def test_a_file_that_drips_holds_its_slot_until_the_deadline(run, provider):
    jobs = run("drip", "png", deadline=0.5, concurrency=1)
    assert (jobs["drip"]["status"], jobs["drip"]["code"]) == UNREACHABLE
    assert "within" in jobs["drip"]["error_message"]
    assert (jobs["drip"]["attempts"], jobs["png"]["status"]) == (3, "completed")
    assert provider.created["drip"] == 1


def test_a_prediction_and_a_file_that_drips_share_one_deadline(run, provider):
    job = run("slow-drip", deadline=1.2)["slow-drip"]
    assert (job["status"], job["code"]) == UNREACHABLE
    first = job["error_details"]["attempts"][0]
    began, ended = (datetime.fromisoformat(first[name]) for name in ("started_at", "at"))
    assert 1.1 < (ended - began).total_seconds() < 1.6
    assert provider.created["slow-drip"] == 1


def stored_outputs(db: Connection) -> list[dict[str, Any]]:
    return db.execute("select * from outputs order by index").fetchall()


def notices(db: Connection) -> Any:
    row = db.execute("select notices from image_generations").fetchone()
    return row and row["notices"]


def test_every_file_of_a_list_is_stored_with_its_type_and_thumbnail(run, db, tmp_path):
    assert run("four")["four"]["status"] == "completed"
    stored = stored_outputs(db)
    generation = db.execute("select * from image_generations").fetchone()
    folder = f"anonymous/{generation['id']}"
    assert [(one["index"], one["storage_path"], one["media_type"]) for one in stored] == [
        (0, f"{folder}/0.png", "image/png"),
        (1, f"{folder}/1.webp", "image/webp"),
        (2, f"{folder}/2.jpg", "image/jpeg"),
        (3, f"{folder}/3.gif", "image/gif"),
    ]
    assert {(one["width"], one["height"]) for one in stored} == {(64, 64)}
    for one in stored:
        assert (tmp_path / "images" / one["storage_path"]).stat().st_size == one["bytes"]
        assert (tmp_path / "images" / one["thumbnail_path"]).is_file()
    assert (generation["storage_path"], generation["image_url"], generation["notices"]) == (
        stored[0]["storage_path"], stored[0]["url"], [],
    )  # fmt: skip


def test_what_is_no_file_in_a_list_is_passed_by_and_the_same_file_stored_once(run, db, provider):
    assert run("four-nulls")["four-nulls"]["status"] == "completed"
    assert [one["media_type"] for one in stored_outputs(db)] == ["image/png", "image/webp"]
    assert provider.fetched == {"png": 1, "webp": 1}


def test_one_file_that_fails_is_fetched_again_alone(run, db, provider):
    assert run("four-once")["four-once"]["status"] == "completed"
    assert [one["index"] for one in stored_outputs(db)] == [0, 1, 2, 3]
    assert provider.created == {"four-once": 1}
    assert provider.fetched == {"png": 1, "webp": 1, "once-status-503": 2, "gif": 1}


def test_the_next_attempt_fetches_only_what_is_missing(run, db, provider):
    job = run("four-away")["four-away"]
    assert (job["status"], job["code"], job["attempts"]) == (*UNREACHABLE, 3)
    # What does not answer keeps nothing else from being stored.
    assert [one["index"] for one in stored_outputs(db)] == [0, 2, 3]
    assert provider.created == {"four-away": 1}
    assert provider.fetched == {"png": 1, "status-503": 3, "webp": 1, "gif": 1}


def test_a_file_that_can_never_be_stored_costs_the_others_nothing(run, db):
    assert run("four-wrong")["four-wrong"]["status"] == "completed"
    assert [one["index"] for one in stored_outputs(db)] == [0, 3]
    assert notices(db) == ["2 of 4 images; 2 could not be fetched or stored."]


def test_an_attempt_that_finds_everything_stored_asks_the_provider_nothing(run, db, provider):
    run("four-away")
    # As of an attempt that was killed after the last image.
    db.execute("update predictions set outputs = 3")
    db.execute("select retry_jobs('somebody', array(select id from job_queue))")
    asked = provider.fetched.copy()
    assert run()["four-away"]["status"] == "completed"
    assert (provider.fetched, provider.created) == (asked, {"four-away": 1})
    assert notices(db) == []
