"""The client against a real Cog server: what it runs, refuses, cancels and forgets."""

import io
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cog_server import MODEL, CogServer, cog_server
from PIL import Image

from lib.provider import Prediction, ProviderError
from lib.provider.cog.client import Cog

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    with cog_server(tmp_path_factory.mktemp("cog")) as started:
        yield started


@pytest.fixture
async def cog(server: CogServer) -> AsyncIterator[Cog]:
    client = Cog(server.url)
    yield client
    await client.aclose()


async def ended(cog: Cog, prediction: Prediction, deadline: float = 20) -> Prediction:
    async for state in cog.follow(prediction, deadline=deadline):
        prediction = state
    return prediction


def until_idle(server: CogServer) -> None:
    until = time.monotonic() + 10
    while server.health() != "READY":
        assert time.monotonic() < until
        time.sleep(0.05)


async def test_a_quick_run_ends_with_its_files(cog):
    created = await cog.create(MODEL, {"prompt": "a fox", "count": 2}, own_id="run-1")
    assert (created.id, created.model, created.status) == ("run-1", MODEL, "succeeded")
    assert (created.predict_seconds or 0) > 0.1
    assert [image[:22] for image in created.images] == ["data:image/png;base64,"] * 2
    opened = Image.open(io.BytesIO(await cog.download(created.images[1])))
    assert (opened.format, opened.size) == ("PNG", (64, 64))


async def test_a_long_run_is_followed_to_its_end(cog):
    created = await cog.create(MODEL, {"prompt": "a fox", "seconds": 2}, own_id="run-2")
    assert (created.id, created.status, created.output) == ("run-2", "processing", [])
    assert (await ended(cog, created)).status == "succeeded"


async def test_an_answer_of_more_than_ten_megabytes_is_read(cog):
    # Noise, so that it cannot be compressed.
    created = await cog.create(MODEL, {"prompt": "noise", "side": 2000}, own_id="big")
    made = await ended(cog, created)
    assert len(made.images[0]) > 15_000_000
    assert len(await cog.download(made.images[0])) > 11_000_000


async def test_a_file_is_given_as_part_of_the_input(cog):
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(buffer, "PNG")
    content = buffer.getvalue() + bytes(3_000_000)
    file = await cog.give_file("photo.png", content, "image/png")
    assert file == f"data:image/png;base64,{b64encode(content).decode()}"
    made = await cog.create(MODEL, {"prompt": "turn", "image": file}, own_id="edit")
    made = await ended(cog, made)
    assert Image.open(io.BytesIO(await cog.download(made.images[0]))).size == (30, 20)


async def test_an_error_of_the_model_is_the_end_of_the_run(cog):
    made = await cog.create(MODEL, {"prompt": "[fail]"}, own_id="fails")
    assert made.status == "failed"
    with pytest.raises(ProviderError, match="out of memory") as failure:
        _ = made.images
    assert (failure.value.code, failure.value.permanent) == ("prediction_failed", False)


async def test_an_input_that_the_schema_refuses_is_named(cog):
    with pytest.raises(ProviderError, match="count") as refusal:
        await cog.create(MODEL, {"prompt": "a fox", "count": 9}, own_id="bad")
    error = refusal.value
    assert (error.code, error.permanent, error.no_effect) == ("invalid_input", True, True)


async def test_a_busy_server_says_so_at_once_and_nothing_started(cog, server):
    first = await cog.create(MODEL, {"prompt": "first", "seconds": 2}, own_id="first")
    assert server.health() == "BUSY"
    with pytest.raises(ProviderError, match="is busy") as refusal:
        await cog.create(MODEL, {"prompt": "second"}, own_id="second")
    error = refusal.value
    assert (error.code, error.permanent, error.no_effect) == ("provider_busy", False, True)
    assert error.retry_after == 5
    assert (await ended(cog, first)).status == "succeeded"
    assert "second" not in [run.prompt for run in server.runs()]


async def test_a_request_repeated_while_its_run_goes_on_starts_nothing(cog, server):
    first = await cog.create(MODEL, {"prompt": "once", "seconds": 2}, own_id="once")
    with pytest.raises(ProviderError, match="is already running") as refusal:
        await cog.create(MODEL, {"prompt": "once", "seconds": 2}, own_id="once")
    assert (refusal.value.code, refusal.value.no_effect) == ("creation_unknown", False)
    assert (await ended(cog, first)).status == "succeeded"
    assert [run.how for run in server.runs() if run.prompt == "once"] == ["end"]


async def test_a_run_is_cancelled_from_another_process(cog, server):
    created = await cog.create(MODEL, {"prompt": "stop", "seconds": 60}, own_id="stop")
    other = Cog(server.url)
    assert (await other.cancel("stop")).status == "canceled"
    assert (await ended(cog, created)).status == "canceled"
    with pytest.raises(ProviderError) as unknown:
        await other.cancel("stop")
    assert unknown.value.code == "prediction_not_found"
    await other.aclose()
    assert server.runs()[-1].how == "cancel"


async def test_a_closed_connection_cancels_its_run(server):
    gone = Cog(server.url)
    await gone.create(MODEL, {"prompt": "gone", "seconds": 60}, own_id="gone")
    await gone.aclose()
    until_idle(server)
    assert (server.runs()[-1].prompt, server.runs()[-1].how) == ("gone", "cancel")


async def test_a_run_past_its_deadline_is_cancelled(cog, server):
    created = await cog.create(MODEL, {"prompt": "late", "seconds": 60}, own_id="late")
    with pytest.raises(ProviderError, match=r"took longer than 0\.5 s and was cancelled") as late:
        await ended(cog, created, deadline=0.5)
    assert late.value.code == "deadline_exceeded"
    until_idle(server)
    assert server.runs()[-1].how == "cancel"


async def test_the_schema_is_that_of_the_model(cog, server):
    model = await cog.model(MODEL)
    assert (model.id, model.provider, model.provider_url) == (MODEL, "cog", server.url)
    assert (model.version, model.official, model.output_shape) == (None, False, "uri[]")
    assert list(model.inputs) == ["prompt", "seconds", "count", "side", "image"]
    assert model.inputs["prompt"]["required"]
    assert model.inputs["count"]["maximum"] == 4


async def test_a_server_that_starts_or_cannot_is_told_apart(tmp_path: Path):
    with cog_server(tmp_path / "cog", wait_for="STARTING", SETUP_SECONDS="3") as slow:
        client = Cog(slow.url)
        with pytest.raises(ProviderError, match="is starting") as starting:
            await client.create(MODEL, {"prompt": "a fox"})
        assert (starting.value.code, starting.value.retry_after) == ("provider_busy", 5)
        slow.kill()
        with pytest.raises(ProviderError, match="does not respond") as away:
            await client.create(MODEL, {"prompt": "a fox"})
        assert (away.value.code, away.value.no_effect) == ("unreachable", True)
        slow.start(wait_for="SETUP_FAILED", BROKEN="1")
        with pytest.raises(ProviderError, match="could not set up its model") as broken:
            await client.create(MODEL, {"prompt": "a fox"})
        assert (broken.value.code, broken.value.no_effect) == ("provider_error", True)
        await client.aclose()


async def test_a_server_that_dies_with_its_run_is_unreachable(tmp_path: Path):
    with cog_server(tmp_path / "cog") as mortal:
        client = Cog(mortal.url)
        created = await client.create(MODEL, {"prompt": "lost", "seconds": 60}, own_id="lost")
        mortal.kill()
        with pytest.raises(ProviderError, match="does not respond") as lost:
            await ended(client, created)
        assert (lost.value.code, lost.value.no_effect) == ("unreachable", False)
        await client.aclose()
