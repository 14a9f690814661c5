"""A generation started over HTTP and followed to its image, and the state that shows it."""

import asyncio
from functools import partial

import httpx
import pytest
from starlette.applications import Starlette
from story import SCHNELL

from lib.api.routes import routes
from lib.client import (
    ImageGeneration,
    StartRefused,
    SubscriptionTimeout,
    start_image_generation,
    start_image_generation_async,
)
from lib.queue.following import follow_generation
from lib.resources import project_keys
from lib.service import Service
from lib.settings import parse


@pytest.fixture
def settings(database, tmp_path):
    return parse(
        {
            "DATABASE_URL": database,
            "DARKROOM_DATA": str(tmp_path),
            "DARKROOM_SIMULATOR_SPEED": "20",
            "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
            "DARKROOM_ANONYMOUS_STARTS": "1",
        }
    )


@pytest.fixture
def url(settings, serve):
    service = Service(settings)
    app = Starlette(routes=routes(lambda: service.functions), lifespan=service.lifespan)
    with serve(app) as url:
        yield url


@pytest.fixture
def keys(settings):
    return project_keys(settings)


@pytest.fixture
def process(url, keys):
    """Runs a job that is due, as cron does."""

    async def process():
        async with httpx.AsyncClient(timeout=30) as client:
            address = f"{url}/functions/v1/process-jobs"
            answer = await client.post(address, json={}, headers={"apikey": keys.secret})
            answer.raise_for_status()

    return process


@pytest.fixture
def shown():
    """Every state that a generation showed."""
    return []


@pytest.fixture
def generation(url, keys, database, shown):
    def note(generation):
        shown.append((generation.status, generation.progress))

    return ImageGeneration(
        url,
        keys.publishable,
        on_change=note,
        subscribe=partial(follow_generation, database_url=database),
    )


def test_from_a_plain_script(url, keys, database, process):
    started = start_image_generation(
        url, keys.publishable, prompt="A lighthouse", model_id=SCHNELL, idempotency_key="one"
    )
    for update in follow_generation(started.generation_id, database_url=database):
        if update.status == "queued":
            asyncio.run(process())
    assert update.status == "completed"
    assert update.image_url.endswith(f"anonymous/{started.generation_id}/0.webp")


async def test_from_an_event_loop(url, keys, database, process):
    request = {"prompt": "A lighthouse", "model_id": SCHNELL, "idempotency_key": "one"}
    started = await start_image_generation_async(url, keys.publishable, **request)
    assert await start_image_generation_async(url, keys.publishable, **request) == started
    processing = asyncio.create_task(process())
    seen = [
        update async for update in follow_generation(started.generation_id, database_url=database)
    ]
    await processing
    assert (seen[0].generation_id, seen[-1].status) == (started.generation_id, "completed")
    assert seen[-1].image_url


async def test_a_refusal_says_why_from_an_event_loop_too(url, keys):
    request = {"model_id": SCHNELL, "idempotency_key": "one"}
    with pytest.raises(StartRefused) as caught:
        await start_image_generation_async(url, keys.publishable, prompt=" ", **request)
    assert (caught.value.code, caught.value.field) == ("invalid_field", "prompt")
    with pytest.raises(StartRefused, match="not valid for this project"):
        await start_image_generation_async(
            url, keys.publishable, access_token="expired", prompt="A lighthouse", **request
        )
    with pytest.raises(StartRefused) as caught:
        await start_image_generation_async("http://127.0.0.1:1", "key", prompt="A", **request)
    assert caught.value.code == "unreachable"


async def test_the_state_goes_from_idle_to_an_image(generation, shown, process, until):
    assert (generation.status, generation.progress, generation.image_url) == ("idle", 0, None)
    running = asyncio.create_task(generation.start(prompt="A lighthouse", model_id=SCHNELL))
    await until(lambda: generation.generation_id)
    await process()
    await running
    assert (generation.status, generation.progress) == ("completed", 100)
    assert generation.image_url.endswith(".webp")
    assert generation.error is None
    statuses = [status for status, _ in shown]
    assert list(dict.fromkeys(statuses)) == ["queued", "processing", "completed"]
    assert statuses.count("completed") == 1


async def test_all_images_come_together(generation, process, until):
    start = generation.start(prompt="A lighthouse", model_id=SCHNELL, num_outputs=3)
    running = asyncio.create_task(start)
    await until(lambda: generation.generation_id)
    assert generation.images == ()
    await process()
    await running
    urls = [image.url for image in generation.images]
    assert [url.rpartition("/")[2] for url in urls] == ["0.webp", "1.webp", "2.webp"]
    assert generation.image_url == urls[0]
    assert {(one.width, one.height, one.type) for one in generation.images} == {
        (1024, 1024, "image/webp")
    }
    generation.reset()
    assert generation.images == ()


async def test_a_refused_start_shows_as_failed(generation, shown):
    with pytest.raises(StartRefused):
        await generation.start(prompt="A lighthouse", model_id="nobody/nothing")
    assert (generation.status, generation.image_url) == ("failed", None)
    assert "nobody/nothing" in generation.error
    assert [status for status, _ in shown] == ["queued", "failed"]


async def test_a_cancelled_generation_shows_as_failed_and_says_so(generation, db, until):
    running = asyncio.create_task(generation.start(prompt="A lighthouse", model_id=SCHNELL))
    await until(lambda: generation.generation_id)
    db.execute("select public.cancel_jobs('somebody', array(select id from public.job_queue))")
    await running
    assert (generation.status, generation.error) == ("failed", "Cancelled by an operator.")


async def test_what_cannot_be_followed_shows_as_failed(url, keys, database):
    generation = ImageGeneration(
        url,
        keys.publishable,
        subscribe=partial(follow_generation, database_url=database, timeout=0.2),
    )
    with pytest.raises(SubscriptionTimeout):
        await generation.start(prompt="A lighthouse", model_id=SCHNELL)
    assert (generation.status, generation.progress) == ("failed", 0)
    assert "did not end within 0.2 s" in generation.error


async def test_reset_ends_the_following_and_a_new_start_takes_its_place(
    generation, connections, process, until
):
    running = asyncio.create_task(generation.start(prompt="A lighthouse", model_id=SCHNELL))
    await until(connections)
    first = generation.generation_id
    generation.reset()
    await running
    assert (generation.status, generation.generation_id) == ("idle", None)
    await until(lambda: connections() == 0)
    running = asyncio.create_task(generation.start(prompt="Another", model_id=SCHNELL))
    await until(lambda: generation.generation_id)
    assert generation.generation_id != first
    await process()
    await running
    assert generation.status == "completed"


async def test_cancelling_a_start_is_not_hidden(generation, connections, until):
    running = asyncio.create_task(generation.start(prompt="A lighthouse", model_id=SCHNELL))
    await until(connections)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: connections() == 0)
