"""The list of the newest predictions, as the client reads it."""

import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from lib.provider import Capability, ListedPrediction, ProviderError
from lib.provider.replicate import client
from lib.provider.simulator.models import MODELS
from lib.provider.simulator.predictions import Predictions, Record
from lib.provider.simulator.server import Simulator

TOKEN = "r8_secret"
MODEL = "owner/model"
CREATED = datetime(2026, 11, 30, 10, 0, 0, 123456, tzinfo=UTC)
SINCE = CREATED - timedelta(minutes=10)
SOON = {"retry-after": "0.01"}


def entry(name: str, **fields) -> dict:
    return {
        "id": name,
        "model": MODEL,
        "version": "hidden",
        "input": {"prompt": name},
        "status": "succeeded",
        "created_at": CREATED.isoformat(),
        "data_removed": False,
    } | fields


def page(*entries, following: object = None) -> JSONResponse:
    return JSONResponse({"next": following, "previous": None, "results": list(entries)})


async def test_what_was_created_is_listed_with_its_input(simulator, replicate):
    began = datetime.now(UTC) - timedelta(seconds=1)
    asked = {"prompt": "[hang] listed", "seed": 7}
    official = await replicate.create("black-forest-labs/flux-schnell", asked)
    sdxl = MODELS["stability-ai/sdxl"]
    community = await replicate.create(sdxl.id, asked, version=sdxl.version)
    listed = await replicate.list_since(began)
    assert Capability.LIST in replicate.capabilities
    assert listed.complete
    newest, before = listed.predictions[:2]
    assert (newest.id, newest.model, newest.version) == (community.id, sdxl.id, sdxl.version)
    assert (before.id, before.model, before.input) == (official.id, official.model, asked)
    assert began < before.created_at <= newest.created_at < datetime.now(UTC)
    ended = await replicate.list_since(datetime.now(UTC) + timedelta(hours=1))
    assert (ended.predictions, ended.complete) == ([], True)


async def test_all_pages_are_read(folder, connect):
    simulator = Simulator(folder, speed=1, failure_rate=0)
    simulator.start()
    now = math.floor(time.time())
    dev = "black-forest-labs/flux-dev"
    record = Record("", dev, {"prompt": "a"}, now, now, now + 1, now + 9, None, None)
    predictions = Predictions(folder)
    for number in range(230):
        predictions.add(replace(record, id=f"p{number}", created_at=now - number))
    replicate = connect(simulator.token, simulator.base_url)
    listed = await replicate.list_since(datetime.fromtimestamp(now - 220.5, UTC))
    assert [prediction.id for prediction in listed.predictions] == [f"p{n}" for n in range(221)]
    assert listed.complete
    simulator.stop()


async def test_an_entry_is_read_in_every_form(serve, connect):
    removed = entry("p2", input={}, data_removed=True, created_at="2026-11-30T10:00:00.123456789Z")
    server = serve(page(entry("p1", version=None), removed, entry("p3", input=None)))
    listed = await connect(TOKEN, server.base_url).list_since(SINCE)
    first, second, third = listed.predictions
    given = ListedPrediction("p1", MODEL, None, {"prompt": "p1"}, "succeeded", CREATED)
    assert first == given
    assert (second.input, second.created_at, third.input) == (None, CREATED, None)
    assert listed.complete
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert datetime.fromisoformat(request.query_params["created_after"]) == SINCE


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "p0",
        {},
        entry(""),
        entry("p0", id=7),
        entry("p0", model=None),
        entry("p0", status=None),
        entry("p0", input="a fox"),
        entry("p0", created_at="yesterday"),
        entry("p0", created_at=1764500000),
    ],
)
async def test_a_malformed_entry_is_skipped_and_said(serve, connect, malformed):
    server = serve(page(entry("p1"), malformed, entry("p2")))
    listed = await connect(TOKEN, server.base_url).list_since(SINCE)
    assert [prediction.id for prediction in listed.predictions] == ["p1", "p2"]
    assert not listed.complete


async def test_pages_are_asked_of_the_api_alone(serve, connect):
    elsewhere = serve(page(entry("stolen")))
    following = f"{elsewhere.base_url}/other?cursor=abc%3D"
    api = serve(page(entry("p1"), following=following), page(entry("p1"), entry("p2")))
    listed = await connect(TOKEN, api.base_url).list_since(SINCE)
    assert [prediction.id for prediction in listed.predictions] == ["p1", "p2"]
    assert elsewhere.requests == []
    second = api.requests[1]
    assert (second.url.path, second.query_params["cursor"]) == ("/v1/predictions", "abc=")
    # A cursor of another list than that of the first page would be incomplete unnoticed.
    assert datetime.fromisoformat(second.query_params["created_after"]) == SINCE


async def test_a_list_without_end_is_incomplete(serve, connect, monkeypatch):
    monkeypatch.setattr(client, "MAX_PAGES", 3)
    server = serve(page(entry("p1"), following="https://api/v1/predictions?cursor=a"))
    listed = await connect(TOKEN, server.base_url).list_since(SINCE)
    assert len(server.requests) == 3
    assert [prediction.id for prediction in listed.predictions] == ["p1"]
    assert not listed.complete


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("<html>"),
        PlainTextResponse("[" * 100_000),
        JSONResponse([]),
        JSONResponse({}),
        JSONResponse({"results": None}),
        page(following=7),
        PlainTextResponse("", 404),
    ],
)
async def test_an_answer_that_is_no_list_is_an_error(serve, connect, answer):
    server = serve(answer)
    with pytest.raises(ProviderError) as error:
        await connect(TOKEN, server.base_url).list_since(SINCE)
    assert (error.value.code, error.value.permanent) == ("unexpected_answer", False)


async def test_a_page_is_asked_for_again_and_its_error_not_hidden(serve, connect):
    server = serve(
        JSONResponse({}, 503, SOON),
        page(entry("p1"), following="https://api/v1/predictions?cursor=a"),
        JSONResponse({}, 401),
    )
    with pytest.raises(ProviderError) as error:
        await connect(TOKEN, server.base_url).list_since(SINCE)
    assert error.value.code == "unauthorized"
    assert len(server.requests) == 3
