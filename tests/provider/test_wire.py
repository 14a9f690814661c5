"""The client against servers that answer oddly."""

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from lib.provider import ProviderError
from lib.provider.replicate import client

MODEL = "owner/model"
TOKEN = "r8_secret"


def state(status: str, **fields) -> JSONResponse:
    return JSONResponse({"id": "p1", "model": MODEL, "status": status, **fields})


def problem(status: int, detail: str = "no", **headers: str) -> JSONResponse:
    body = {"title": "Problem", "detail": detail, "status": status}
    return JSONResponse(body, status, headers)


SOON = {"retry-after": "0.01"}


async def test_a_create_says_what_it_wants(serve, connect):
    server = serve(state("starting"))
    replicate = connect(TOKEN, server.base_url)
    await replicate.create(MODEL, {"prompt": "a fox"}, cancel_after=299.2)
    await replicate.create(MODEL, {"prompt": "a fox"}, version="abc")
    official, community = server.requests
    assert official.url.path == "/v1/models/owner/model/predictions"
    assert official.headers["authorization"] == f"Bearer {TOKEN}"
    assert official.headers["cancel-after"] == "300s"
    assert await official.json() == {"input": {"prompt": "a fox"}}
    assert community.url.path == "/v1/predictions"
    assert "cancel-after" not in community.headers
    assert await community.json() == {"version": "abc", "input": {"prompt": "a fox"}}


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_create_that_may_have_run_is_not_repeated(serve, connect, status):
    server = serve(problem(status, **SOON), state("starting"))
    with pytest.raises(ProviderError) as error:
        await connect(TOKEN, server.base_url).create(MODEL, {})
    assert (error.value.code, error.value.status) == ("provider_error", status)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_create_that_surely_did_not_run_is_repeated(serve, connect, status):
    server = serve(problem(status, **SOON), state("starting"))
    assert (await connect(TOKEN, server.base_url).create(MODEL, {})).id == "p1"
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_reading_is_repeated(serve, connect, status):
    server = serve(problem(status, **SOON), state("processing"))
    assert (await connect(TOKEN, server.base_url).get("p1")).status == "processing"
    assert len(server.requests) == 2


async def test_nobody_there_is_unreachable(connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    replicate = connect(TOKEN, f"http://127.0.0.1:{port}", max_wait=0)
    for call in (replicate.create(MODEL, {}), replicate.get("p1"), replicate.cancel("p1")):
        with pytest.raises(ProviderError) as error:
            await call
        assert (error.value.code, error.value.permanent) == ("unreachable", False)
        assert error.value.status is None


@pytest.mark.parametrize(
    ("headers", "detail", "expected"),
    [
        ({"retry-after": "120"}, "slow down", 120),
        ({}, "Request was throttled. Your rate limit resets in ~30s.", 30),
        ({"retry-after": "-5"}, "slow down", 0),
        ({"retry-after": "soon"}, "slow down", None),
        ({"retry-after": "nan"}, "slow down", None),
        ({}, "slow down", None),
    ],
)
async def test_the_wait_that_the_provider_asks_for(serve, connect, headers, detail, expected):
    server = serve(problem(429, detail, **headers))
    with pytest.raises(ProviderError, match=detail.split()[0]) as error:
        await connect(TOKEN, server.base_url, max_wait=0).create(MODEL, {})
    assert (error.value.code, error.value.retry_after) == ("rate_limited", expected)
    assert len(server.requests) == 1


async def test_the_wait_may_be_a_date(serve, connect):
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server = serve(problem(429, **{"retry-after": date}))
    with pytest.raises(ProviderError) as error:
        await connect(TOKEN, server.base_url).create(MODEL, {})
    # By the answer's own date; HTTP's dates are whole seconds.
    assert 3500 < error.value.retry_after <= 3601


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("<html>"),
        JSONResponse([]),
        JSONResponse({}),
        JSONResponse({"id": "p1", "model": MODEL}),
        JSONResponse({"id": 1, "model": MODEL, "status": "starting"}),
        state("processing", logs=["12%"]),
        JSONResponse({"id": "p" * 201, "model": MODEL, "status": "starting"}),
        *(
            JSONResponse({"id": id, "model": MODEL, "status": "starting"})
            for id in ("../../v1/account", "a\x00b", "a b", "-p", "another")
        ),
    ],
)
async def test_an_answer_of_another_shape_is_an_error(serve, connect, answer):
    replicate = connect(TOKEN, serve(answer).base_url)
    with pytest.raises(ProviderError) as error:
        await replicate.get("p1")
    assert error.value.code == "unexpected_answer"


@pytest.mark.parametrize(
    ("fields", "output", "error", "progress"),
    [
        ({"error": "x" * 9_000_000}, [], "x" * 16_000 + " … (9,000,000 characters)", None),
        ({"logs": "y" * 900_000 + "12%"}, [], None, 12),
        ({}, [], None, None),
        ({"output": None, "error": None, "logs": None}, [], None, None),
        ({"output": "https://a/1.png"}, ["https://a/1.png"], None, None),
        ({"output": ["https://a/1.png"]}, ["https://a/1.png"], None, None),
        ({"error": {"code": 7}}, [], '{"code": 7}', None),
        ({"logs": "  4%|▍ | 1/28\n 50%|█ | 14/28"}, [], None, 50),
        ({"logs": "99.6% of 100%\nsaved 3 files"}, [], None, 100),
    ],
)
async def test_a_prediction_is_read_as_models_write_it(
    serve, connect, fields, output, error, progress
):
    server = serve(state("processing", **fields))
    prediction = await connect(TOKEN, server.base_url).get("p1")
    assert (prediction.output, prediction.error, prediction.progress) == (output, error, progress)


async def test_of_long_logs_the_end_is_kept(serve, connect):
    server = serve(state("processing", logs="x" * 9_000_000 + "y" * 15_997 + "12%"))
    prediction = await connect(TOKEN, server.base_url).get("p1")
    assert prediction.logs == "y" * 15_997 + "12%"


async def test_following_yields_each_new_state_through_outages(serve, connect, monkeypatch):
    monkeypatch.setattr(client, "FIRST_POLL_SECONDS", 0.01)
    server = serve(
        state("starting"),
        state("processing", logs="10%"),
        problem(500, **SOON),
        PlainTextResponse("Bad gateway", 502, SOON),
        problem(429, **SOON),
        state("processing", logs="10%\n60%"),
        state("succeeded", logs="10%\n60%\n100%", output="https://a/1.png"),
    )
    replicate = connect(TOKEN, server.base_url, max_wait=0)
    states = [s async for s in replicate.follow(await replicate.get("p1"), deadline=60)]
    assert [s.status for s in states] == ["processing", "processing", "succeeded"]
    assert [s.progress for s in states] == [10, 60, 100]


async def test_a_permanent_error_ends_following(serve, connect):
    server = serve(state("starting"), problem(404))
    replicate = connect(TOKEN, server.base_url)
    prediction = await replicate.get("p1")
    with pytest.raises(ProviderError) as error:
        await anext(replicate.follow(prediction, deadline=60))
    assert error.value.code == "prediction_not_found"


async def test_a_prediction_that_succeeds_at_its_deadline_is_used(serve, connect):
    def answer(request):
        cancels = request.url.path.endswith("/cancel")
        return state("succeeded", output="https://a/1.png") if cancels else state("processing")

    replicate = connect(TOKEN, serve(answer).base_url)
    prediction = await replicate.get("p1")
    states = [s async for s in replicate.follow(prediction, deadline=0)]
    assert [s.status for s in states] == ["succeeded"]


async def test_a_deadline_holds_when_cancelling_fails(serve, connect):
    server = serve(state("processing"), problem(500))
    replicate = connect(TOKEN, server.base_url, max_wait=0)
    prediction = await replicate.get("p1")
    with pytest.raises(ProviderError, match="cancelling it failed") as error:
        await anext(replicate.follow(prediction, deadline=0))
    assert error.value.code == "deadline_exceeded"


async def test_a_token_in_an_answer_is_not_passed_on(serve, connect):
    server = serve(problem(401, f"Token {TOKEN} is not valid"))
    with pytest.raises(ProviderError, match="not valid") as error:
        await connect(TOKEN, server.base_url).get("p1")
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ("https://a/1.png", ["https://a/1.png"]),
        (["https://a/1.png", "http://b/2"], ["https://a/1.png", "http://b/2"]),
        ("DATA:image/png;base64,eA==", ["DATA:image/png;base64,eA=="]),
        ([None, "", "https://a/1.png"], ["https://a/1.png"]),
        (
            {"image": "https://a/1", "seed": 7, "mask": "https://a/2"},
            ["https://a/1", "https://a/2"],
        ),
        (
            [{"url": "https://a/1"}, [["https://a/2"]], "https://a/3"],
            ["https://a/1", "https://a/2"],
        ),
        *((output, []) for output in (None, "", "A fox.", 5, False, {}, [None], ["/1.png"])),
        (["file:///etc/passwd", "//a/1.png", "ftp://a/1.png"], []),
    ],
)
async def test_all_urls_in_an_output_are_read_in_their_order(serve, connect, output, urls):
    server = serve(state("succeeded", output=output))
    prediction = await connect(TOKEN, server.base_url).get("p1")
    assert prediction.output[:2] == urls
    if not urls:
        with pytest.raises(ProviderError, match="returned no image") as error:
            _ = prediction.images
        assert error.value.code == "prediction_failed"


async def test_a_deeply_nested_output_is_read_or_refused(serve, connect):
    deep = '["https://a/1.png"]'
    for _ in range(500):
        deep = f"[{deep}]"
    body = '{"id": "p1", "model": "a/b", "status": "succeeded", "output": %s}'
    server = serve(PlainTextResponse(body % deep), PlainTextResponse(body % ("[" * 100_000)))
    replicate = connect(TOKEN, server.base_url)
    assert (await replicate.get("p1")).images[0] == "https://a/1.png"
    with pytest.raises(ProviderError) as error:
        await replicate.get("p1")
    assert error.value.code == "unexpected_answer"


@pytest.mark.parametrize(
    ("given", "created_at"),
    [
        ("2026-11-30T10:00:00Z", datetime(2026, 11, 30, 10, tzinfo=UTC)),
        ("2026-11-30T10:00:00", datetime(2026, 11, 30, 10, tzinfo=UTC)),
        (None, None),
        ("yesterday", None),
        (7, None),
    ],
)
async def test_the_time_of_its_creation_may_be_missing(serve, connect, given, created_at):
    server = serve(state("starting", created_at=given))
    assert (await connect(TOKEN, server.base_url).get("p1")).created_at == created_at
