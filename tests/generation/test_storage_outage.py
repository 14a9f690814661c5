"""A storage that takes no images: what is paid for, claimed, told and made again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from lib.database import AsyncPool, open_async_pool
from lib.database.pool import Connection
from lib.generation.generate_image import GenerationHandler
from lib.provider import Capability, Prediction, ProviderError
from lib.queue.worker_calls import Queue
from lib.storage import outage
from lib.storage.local import LocalStorage
from lib.worker.worker import Worker

CONCURRENCY = 3
SCHNELL = "black-forest-labs/flux-schnell"


def png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


class Provider:
    """Makes images at once, and forgets them in one of three ways when the test says so."""

    name = "replicate"
    capabilities = frozenset({Capability.GET})
    reads_addresses = True

    def __init__(self) -> None:
        self.paid: list[str] = []
        self.fetched: list[str] = []
        self._gone: dict[str, str] = {}

    def forget(self, way: str) -> None:
        self._gone = dict.fromkeys(self.paid, way)

    async def create(self, model: str, _input: Any, **_options: Any) -> Prediction:
        self.paid.append(f"p{len(self.paid)}")
        return self._prediction(self.paid[-1], model)

    async def get(self, prediction_id: str) -> Prediction:
        if self._gone.get(prediction_id) == "prediction":
            raise ProviderError("Gone.", code="prediction_not_found")
        self.fetched.append(prediction_id)
        return self._prediction(prediction_id, SCHNELL)

    async def download(self, url: str, *, deadline: float) -> bytes:
        if self._gone.get(url) == "file":
            raise ProviderError("Gone.", code="image_not_found")
        return png()

    def _prediction(self, id: str, model: str) -> Prediction:
        output = [] if self._gone.get(id) == "output" else [id]
        return Prediction(id, model, "succeeded", output, None, "", None)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The folder of images, in whose place there is a file: it takes none."""
    path = tmp_path / "images"
    path.write_text("in the way")
    return path


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncPool]:
    pool = await open_async_pool(database, application_name="darkroom worker")
    yield pool
    await pool.close()


@pytest.fixture
def make_worker(
    pool: AsyncPool,
    db: Connection,
    provider: Provider,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Worker]:
    """Workers of one process, with short waits."""
    monkeypatch.setattr(outage, "FIRST_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(outage, "MAX_PROBE_SECONDS", 0.1)
    db.execute("update job_types set backoff_base_seconds = 0.05, backoff_max_seconds = 0.05")

    async def other(_claim: Any) -> dict[str, Any]:
        return {}

    storage = LocalStorage(images, "")
    generate = GenerationHandler(Queue(pool), provider, storage, deadline_seconds=5)  # type: ignore[arg-type]

    def make(kind: str = "worker") -> Worker:
        return Worker(
            pool,
            pool,
            {"generate-image": generate, "other": other},
            kind=kind,
            concurrency=CONCURRENCY,
            heartbeat_seconds=0.05,
            rescue_seconds=600,
            batch=50,
        )

    return make


@pytest.fixture
def running(database: str, make_worker: Callable[..., Worker]) -> Any:
    @asynccontextmanager
    async def run() -> AsyncIterator[Worker]:
        worker = make_worker()
        task = asyncio.create_task(worker.run(database, poll_seconds=0.05, stop_grace_seconds=0))
        yield worker
        worker.stop()
        await task

    return run


@pytest.fixture
def start(db: Connection) -> Callable[..., list[UUID]]:
    def start(jobs: int = 1) -> list[UUID]:
        for _ in range(jobs):
            db.execute("select start_generation(null, 'a fox', %s, '{}', 'test')", [SCHNELL])
        db.execute("update job_queue set max_attempts = 1")
        return [row["id"] for row in db.execute("select id from job_queue").fetchall()]

    return start


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(20):
        while not (found := condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


def blocked(db: Connection) -> Any:
    """The live worker that says its storage failed."""
    return db.execute("select * from live_workers where storage_error is not null").fetchone()


def statuses(db: Connection, job_type: str = "generate-image") -> dict[str, int]:
    rows = db.execute(
        "select status, count(*) from job_queue where job_type = %s group by 1", [job_type]
    )
    return {row["status"]: row["count"] for row in rows}


def details(db: Connection) -> Any:
    row = db.execute("select error_details from job_queue where error_details is not null")
    return (row.fetchone() or {}).get("error_details")


async def test_an_outage_stops_what_needs_storage_and_ends_by_itself(
    db, running, provider, images, start
):
    start(20)
    async with running():
        found = await until(lambda: blocked(db))
        assert found["storage_error"].startswith("The images folder is not writable")
        assert found["blocked_types"] == ["generate-image"]
        db.execute("select enqueue_job('other', '{}') from generate_series(1, 5)")
        await until(lambda: statuses(db, "other") == {"completed": 5})
        assert statuses(db) == {"pending": 20}
        assert len(provider.paid) <= CONCURRENCY
        assert details(db)["code"] == "storage_failed"

        images.unlink()
        await until(lambda: statuses(db) == {"completed": 20})
        await until(lambda: not blocked(db))
    assert len(provider.paid) == 20
    assert set(provider.fetched) == set(provider.paid[: len(set(provider.fetched))])
    assert provider.fetched
    assert len(list(images.rglob("*.png"))) == len(list(images.rglob("*.thumbnail.webp"))) == 20


@pytest.mark.parametrize("way", ["prediction", "output", "file"])
async def test_what_was_paid_and_is_gone_is_paid_again_and_says_so(
    db, running, provider, images, start, way, caplog
):
    start()
    async with running():
        await until(lambda: blocked(db))
        provider.forget(way)
        db.execute("update predictions set created_at = created_at - interval '1 hour'")
        images.unlink()
        await until(lambda: statuses(db) == {"completed": 1})
    errors = details(db)["attempts"]
    assert [error["details"]["code"] for error in errors][-1] == "outputs_expired"
    assert "pays for another" in errors[-1]["error"]
    assert "p0" in caplog.text
    assert provider.paid == ["p0", "p1"]
    row = db.execute("select * from image_generations").fetchone()
    assert row["prediction_id"] == "p1"
    assert images.joinpath(row["storage_path"]).read_bytes() == png()
    assert images.joinpath(row["thumbnail_path"]).is_file()


async def test_a_prediction_that_is_missing_too_soon_is_not_paid_again(
    db, running, provider, images, start
):
    start()
    async with running():
        await until(lambda: blocked(db))
        provider.forget("prediction")
        images.unlink()
        await until(lambda: details(db)["code"] == "creation_unknown")
        assert provider.paid == ["p0"]
        provider.forget("no way")
        db.execute("update job_queue set scheduled_at = now()")
        await until(lambda: statuses(db) == {"completed": 1})
    assert provider.paid == ["p0"]


async def test_during_an_outage_calls_pay_for_nothing_and_are_seen(
    db, make_worker, provider, images, start
):
    start(2)
    await make_worker("process-jobs").run_batch()
    assert len(provider.paid) == 2
    assert not images.is_dir()
    start(3)
    db.execute("delete from workers")

    await make_worker("process-jobs").run_batch()
    assert len(provider.paid) == 2
    assert blocked(db)["kind"] == "process-jobs"

    [generation] = db.execute(
        "select id from image_generations where prediction_id is null limit 1"
    ).fetchall()
    worker = make_worker("process-generation")
    assert await worker.run_generation(generation["id"])
    assert (worker.processed, worker.errors) == (1, 1)
    assert len(provider.paid) == 2
    assert statuses(db) == {"pending": 5}

    images.unlink()
    async with asyncio.timeout(20):
        while statuses(db) != {"completed": 5}:
            await make_worker("process-jobs").run_batch()
    assert len(provider.paid) == 5
