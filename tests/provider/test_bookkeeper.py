"""The provider that keeps a book: what the storms count must itself be right."""

import asyncio
import io
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from bookkeeper import VERSIONS
from PIL import Image

from lib.provider import ProviderError

SCHNELL = "black-forest-labs/flux-schnell"


@pytest.fixture
def bookkeeper(make_bookkeeper):
    return make_bookkeeper(run_seconds=0.05)


@pytest.fixture
def replicate(bookkeeper, connect):
    return connect("r8_any", bookkeeper.base_url)


async def test_a_prediction_gives_an_image_and_is_in_the_book_and_the_list(bookkeeper, replicate):
    began = datetime.now(UTC) - timedelta(seconds=1)
    version, sdxl = next(iter(VERSIONS.items()))
    created = await replicate.create(SCHNELL, {"prompt": "a fox", "seed": 3})
    community = await replicate.create(sdxl, {"prompt": "a fox"}, version=version)
    states = [state async for state in replicate.follow(created, deadline=10)]
    assert states[-1].status == "succeeded"
    opened = Image.open(io.BytesIO(await replicate.download(states[-1].images[0])))
    assert opened.size == (8, 8)
    first, second = bookkeeper.entries()
    assert (first.event, first.id, first.model) == ("created", created.id, SCHNELL)
    assert first.input == {"prompt": "a fox", "seed": 3}
    assert second.model == sdxl
    assert bookkeeper.paid() == {"a fox": 2}
    newest, oldest = (await replicate.list_since(began)).predictions
    assert (newest.id, newest.model, newest.version) == (community.id, sdxl, version)
    assert (oldest.id, oldest.input) == (created.id, first.input)
    assert (await replicate.list_since(newest.created_at)).predictions == [newest]


async def test_a_list_has_pages(replicate):
    began = datetime.now(UTC) - timedelta(seconds=1)
    prompts = [{"prompt": f"{number}"} for number in range(210)]
    for at in range(0, 210, 30):
        await asyncio.gather(*(replicate.create(SCHNELL, each) for each in prompts[at : at + 30]))
    listed = await replicate.list_since(began)
    assert len({prediction.id for prediction in listed.predictions}) == 210
    times = [prediction.created_at for prediction in listed.predictions]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("tag", "code"),
    [("[500]", "provider_error"), ("[unreadable]", "unexpected_answer")],
)
async def test_an_accepted_creation_may_be_answered_wrongly(bookkeeper, replicate, tag, code):
    with pytest.raises(ProviderError) as error:
        await replicate.create(SCHNELL, {"prompt": tag})
    assert error.value.code == code
    assert bookkeeper.paid() == {tag: 1}


@pytest.mark.parametrize("tag", ["[late 20]", "[never]"])
async def test_an_accepted_creation_may_not_be_answered(bookkeeper, replicate, eventually, tag):
    creating = asyncio.create_task(replicate.create(SCHNELL, {"prompt": tag}))
    await asyncio.to_thread(eventually, lambda: bookkeeper.paid() == {tag: 1})
    assert not creating.done()
    creating.cancel()


async def test_a_late_answer_comes(bookkeeper, replicate):
    assert (await replicate.create(SCHNELL, {"prompt": "[late 0.1]"})).id


async def test_a_throttled_creation_is_not_in_the_book(bookkeeper, replicate):
    with pytest.raises(ProviderError) as error:
        await replicate.create(SCHNELL, {"prompt": "[429]"}, wait_out_rate_limits=False)
    assert (error.value.code, bookkeeper.paid()) == ("rate_limited", {})
    await replicate.create(SCHNELL, {"prompt": "[429]"}, wait_out_rate_limits=False)
    assert bookkeeper.paid() == {"[429]": 1}


async def test_cancellations_are_in_the_book(bookkeeper, replicate):
    created = await replicate.create(SCHNELL, {"prompt": "[takes 60]"})
    assert (await replicate.cancel(created.id)).status == "canceled"
    assert [entry.event for entry in bookkeeper.entries()] == ["created", "cancelled"]
    overdue = await replicate.create(SCHNELL, {"prompt": "[takes 60]"}, cancel_after=0.1)
    states = [state async for state in replicate.follow(overdue, deadline=10)]
    assert states[-1].status == "canceled"


def test_a_creation_is_charged_although_its_client_is_gone(make_bookkeeper, eventually):
    bookkeeper = make_bookkeeper(create_seconds=1)
    url = f"{bookkeeper.base_url}/v1/models/{SCHNELL}/predictions"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json={"input": {"prompt": "gone"}}, timeout=0.2, verify=False)
    assert bookkeeper.paid() == {}
    eventually(lambda: bookkeeper.paid() == {"gone": 1})
