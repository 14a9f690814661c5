"""What the client of Cog makes of answers that no Cog server should give."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from lib.provider import ProviderError
from lib.provider.cog import client
from lib.provider.cog.client import Cog

PNG = "data:image/png;base64,iVBORw0KGgo="
ENDED = {"id": "p", "status": "succeeded", "output": [PNG], "logs": ""}


def answer(body: Any, status: int = 200) -> Response:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(text, status, media_type="application/json")


async def failure(cog: Cog) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await cog.create("home/tiny", {"prompt": "a fox"}, own_id="p")
    await cog.aclose()
    return raised.value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "is not JSON"),
        ([], "is not a JSON object"),
        ({}, "has no status"),
        (ENDED | {"id": "../q"}, "not a prediction id"),
        (ENDED | {"id": "q"}, "describes another one"),
        (ENDED | {"logs": 7}, "logs that are not text"),
        (b'{"id": "p", "status": "succeeded", "output": ["' + b"x" * 2000, "larger than"),
    ],
)
async def test_a_malformed_answer_is_an_error_that_may_have_run(serve, monkeypatch, body, words):
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1000)
    error = await failure(Cog(serve(answer(body)).base_url))
    assert words in str(error)
    assert not error.no_effect
    assert error.code == ("too_large" if words == "larger than" else "unexpected_answer")


@pytest.mark.parametrize(
    ("status", "body", "code", "permanent", "no_effect", "words"),
    [
        (404, {}, "provider_error", False, True, "is not a Cog server"),
        (401, {"detail": "no key"}, "unauthorized", True, True, "requires sign-in: no key."),
        (413, {}, "invalid_input", True, True, "too large"),
        (500, {"error": "boom"}, "provider_error", False, False, "returned HTTP 500: boom."),
        (502, b"<html>", "provider_error", False, False, "returned HTTP 502: Bad Gateway."),
        (
            422,
            {"detail": [{"loc": ["body", "input", "steps"], "msg": "too many"}, 7, {"loc": 1}]},
            "invalid_input",
            True,
            True,
            "rejected the input: steps: too many",
        ),
    ],
)
async def test_a_refusal_is_told_with_the_servers_words(
    serve, status, body, code, permanent, no_effect, words
):
    error = await failure(Cog(serve(answer(body, status)).base_url))
    assert (error.code, error.permanent, error.no_effect) == (code, permanent, no_effect)
    assert words in str(error)
    assert "127.0.0.1" not in str(error)


@pytest.mark.parametrize(
    ("health", "code", "words"),
    [
        ({"status": "STARTING"}, "provider_busy", "is starting."),
        (
            {"status": "SETUP_FAILED", "setup": {"logs": "loading\nno such weights\n"}},
            "provider_error",
            "for home/tiny could not set up its model: see its log.",
        ),
        ({"status": "SETUP_FAILED", "setup": 7}, "provider_error", "see its log"),
        ({"status": "DEFUNCT"}, "provider_error", "restart it"),
        (
            {"status": "UNHEALTHY", "user_healthcheck_error": "hot"},
            "provider_error",
            "is unhealthy: see its log.",
        ),
        ({"status": "READY"}, "provider_error", "returned HTTP 503: not ready."),
        (b"<html>", "provider_error", "returned HTTP 503: not ready."),
    ],
)
async def test_a_server_that_takes_nothing_is_asked_why(serve, health, code, words):
    server = serve(answer({"error": "not ready"}, 503), answer(health))
    error = await failure(Cog(server.base_url))
    assert (error.code, error.no_effect) == (code, True)
    assert words in str(error)
    assert "127.0.0.1" not in str(error)


@pytest.mark.parametrize(
    ("body", "late", "no_effect"),
    [
        (b"<html>", False, True),
        (b"<html>", True, False),
        ({"error": "not ready"}, True, True),
    ],
)
async def test_a_503_of_a_proxy_in_the_middle_of_a_run_may_have_had_an_effect(
    serve, monkeypatch, body, late, no_effect
):
    monkeypatch.setattr(client, "REFUSAL_SECONDS", -1 if late else 5)
    cog = Cog(serve(answer(body, 503), answer({"status": "STARTING"})).base_url)
    with pytest.raises(ProviderError) as raised:
        async for _ in cog.follow(
            await cog.create("home/tiny", {"prompt": "a fox"}, own_id="p"), deadline=5
        ):
            pass
    await cog.aclose()
    assert raised.value.no_effect is no_effect


async def test_a_server_without_a_schema_is_told(serve):
    server = serve(answer({"error": "OpenAPI schema not available"}, 503), answer({}))
    cog = Cog(server.base_url)
    with pytest.raises(ProviderError, match="OpenAPI schema not available"):
        await cog.model("home/tiny")
    await cog.aclose()


async def test_files_come_from_the_server_or_from_the_answer_and_from_no_other_network(serve):
    server = serve(Response(b"file"))
    elsewhere = serve(Response(b"secret"))
    cog = Cog(server.base_url)
    assert await cog.download(f"{server.base_url}/out.png") == b"file"
    assert await cog.download("data:image/png;base64,aGk=") == b"hi"
    with pytest.raises(ProviderError, match="private network"):
        await cog.download(f"{elsewhere.base_url}/out.png")
    await cog.aclose()


async def test_the_deadline_of_a_run_that_has_ended_does_not_cancel_its_caller(serve, monkeypatch):
    monkeypatch.setattr(client, "REFUSAL_SECONDS", 0)
    cog = Cog(serve(answer(ENDED)).base_url)
    created = await cog.create("home/tiny", {"prompt": "a fox"}, own_id="p")
    assert created.status == "processing"
    ends = []
    async for state in cog.follow(created, deadline=0.3):
        # As if the database took long to store the progress.
        await asyncio.sleep(0.4)
        ends.append(state.status)
    assert ends == ["succeeded"]
    await cog.aclose()


async def test_the_input_and_our_id_are_sent(serve):
    async def body(request: Request) -> Any:
        return json.loads(await request.body())

    server = serve(answer(ENDED))
    cog = Cog(f"{server.base_url}/")
    assert (await cog.create("home/tiny", {"prompt": "é"}, own_id="p")).output == [PNG]
    (request,) = server.requests
    assert (request.method, request.url.path) == ("PUT", "/predictions/p")
    assert await body(request) == {"input": {"prompt": "é"}}
    await cog.aclose()
