"""Uploads on their way to the provider: given once an attempt, and never anybody else's."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image

from lib.database import AsyncPool, open_async_pool
from lib.database.pool import Connection
from lib.generation import inputs
from lib.generation.generate_image import GenerationHandler
from lib.generation.inputs import InputFiles
from lib.generation.uploads import store_upload_async
from lib.provider import Prediction, ProviderError, Providers
from lib.provider.replicate.client import Replicate
from lib.provider.simulator.server import Simulator
from lib.queue.worker_calls import JobFailed, Queue
from lib.storage.local import LocalStorage
from lib.worker.worker import Worker

EDIT = "qwen/qwen-image-edit"


class Watched(Replicate):
    """Notes what it is given, and fails the first creation in a way that the test chooses."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator.token, simulator.base_url, max_wait=0)
        self.given: list[str] = []
        self.created: list[Any] = []
        self.fault: str | None = None
        self.give_seconds = 0.0

    async def give_file(self, name: str, content: bytes, content_type: str) -> str:
        await asyncio.sleep(self.give_seconds)
        assert Image.open(BytesIO(content)).size == (8, 8)
        self.given.append(await super().give_file(name, content, content_type))
        return self.given[-1]

    async def create(self, model: str, input: Any, **options: Any) -> Prediction:
        fault, self.fault = self.fault, None
        if fault == "refused":
            raise ProviderError("No.", code="provider_error", status=503, no_effect=True)
        self.created.append(input)
        prediction = await super().create(model, input, **options)
        if fault == "answer lost":
            raise ProviderError("Hm?", code="unreachable")
        return prediction


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncPool]:
    pool = await open_async_pool(database, application_name="darkroom worker")
    yield pool
    await pool.close()


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "images", "")


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Watched]:
    simulator = Simulator(tmp_path / "replicate", speed=500, failure_rate=0)
    simulator.start()
    provider = Watched(simulator)
    yield provider
    await provider.aclose()
    simulator.stop()


@pytest.fixture
def run(
    db: Connection, database: str, pool: AsyncPool, provider: Watched, storage: LocalStorage
) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Runs a generation with an upload until it has ended, without waits between attempts."""
    db.execute("update job_types set provider = null")

    async def run(
        model_id: str = EDIT, *, lost: bool = False, deadline_seconds: float = 20
    ) -> dict[str, Any]:
        upload = await store_upload_async(
            pool, storage, user_id=None, source="test", content=picture()
        )
        names = ("image", "mask") if model_id == "stability-ai/sdxl" else ("image",)
        parameters = ", ".join(f'"{name}": "{upload.reference}"' for name in names)
        db.execute(
            "select start_generation(null, 'At night', %s, %s, 'test')",
            [model_id, f"{{{parameters}}}"],
        )
        if lost:
            [row] = db.execute("select storage_path from uploads").fetchall()
            storage.delete(row["storage_path"])
        handler = GenerationHandler(
            Queue(pool), Providers(provider), storage, deadline_seconds=deadline_seconds
        )
        worker = Worker(
            pool,
            pool,
            {"generate-image": handler},
            kind="worker",
            concurrency=1,
            heartbeat_seconds=1,
            rescue_seconds=600,
            batch=1,
        )
        task = asyncio.create_task(worker.run(database, poll_seconds=0.02, stop_grace_seconds=0))
        left = "select id from job_queue where status in ('pending', 'processing')"
        async with asyncio.timeout(30):
            while db.execute(left).fetchone():
                db.execute("update job_queue set scheduled_at = now() where status = 'pending'")
                await asyncio.sleep(0.02)
        worker.stop()
        await task
        row = db.execute("select * from job_queue").fetchone()
        assert row
        return row

    return run


def picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("fault", "given", "model_id"),
    [
        pytest.param(None, 1, "stability-ai/sdxl", marks=pytest.mark.slow),
        pytest.param("refused", 2, EDIT, marks=pytest.mark.slow),
        ("answer lost", 1, EDIT),
    ],
)
async def test_a_file_is_given_once_for_each_creation(db, provider, run, fault, given, model_id):
    provider.fault = fault
    job = await run(model_id)
    assert job["status"] == "completed", job["error_message"]
    assert (len(provider.given), len(provider.created)) == (given, 1)
    assert provider.created[0]["image"] == provider.given[-1]
    assert provider.created[0].get("mask", provider.given[-1]) == provider.given[-1]
    [prediction] = db.execute("select * from predictions").fetchall()
    assert prediction["input"]["image"].startswith("upload:")
    assert list(prediction["given_files"].values()) == [provider.given[-1]]


async def test_a_file_that_is_gone_costs_nothing(db, provider, run):
    job = await run(lost=True)
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert job["error_message"] == ("An uploaded input image is no longer stored. Upload it again.")
    assert provider.created == []
    assert db.execute("select from predictions").fetchone() is None


async def test_time_to_give_files_does_not_shorten_the_prediction(provider, run):
    provider.give_seconds = 1.1
    job = await run(deadline_seconds=1)
    assert (job["status"], job["error_message"]) == ("completed", None)


async def test_giving_files_has_a_time_limit(provider, run, monkeypatch):
    monkeypatch.setattr(inputs, "GIVE_SECONDS", 0.05)
    provider.give_seconds = 20
    job = await run()
    assert job["status"] == "failed"
    assert job["error_message"] == "The input images could not be sent within 0.05 s."


async def test_files_that_are_sent_as_data_have_a_limit_together(provider, run, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_DATA_BYTES", 10)
    monkeypatch.setattr(Watched, "reads_addresses", False)
    job = await run()
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert "The input images together are larger than" in job["error_message"]
    assert provider.given == []


class OwnServer:
    """A provider that reads nothing by itself."""

    reads_addresses = False

    def __init__(self) -> None:
        self.given: list[bytes] = []

    async def give_file(self, name: str, content: bytes, content_type: str) -> str:
        self.given.append(content)
        return f"data:{content_type};base64,AAAA"


async def test_addresses_are_fetched_for_a_provider_that_reads_none(
    db: Connection, pool: AsyncPool, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Any = OwnServer()
    files, nobody = InputFiles(pool, storage), uuid4()
    address = "https://localhost.example.invalid/fox.png"

    async def give(**input: Any) -> dict[str, str]:
        return await files.give(server, nobody, EDIT, input)

    data = f"data:image/png;base64,{b64encode(picture()).decode()}"
    assert await give(prompt=address, image=data) == {}
    with pytest.raises(JobFailed, match=r"cannot be used\. image: ") as damaged:
        await give(image=f"{data[:40]}AAAA")
    assert (damaged.value.code, damaged.value.permanent) == ("input_unavailable", True)
    with pytest.raises(ProviderError, match="cannot be fetched") as refused:
        await give(prompt=address, image="https://127.0.0.1/fox.png")
    assert (refused.value.code, refused.value.permanent) == ("input_unavailable", True)
    with pytest.raises(ProviderError) as unreachable:
        await give(image=address)
    assert (unreachable.value.code, unreachable.value.permanent) == ("input_unavailable", False)
    # Another generation's.
    assert await give(image=f"upload:{UUID(int=7)}") == {}
    assert server.given == []
