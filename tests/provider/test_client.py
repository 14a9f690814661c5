"""The client against the simulator: what the queue sees of Replicate."""

import asyncio
import io

import pytest
from PIL import Image

from lib.provider import Prediction, ProviderError
from lib.provider.replicate.client import Replicate
from lib.provider.simulator.models import MODELS

SCHNELL = "black-forest-labs/flux-schnell"
SDXL = "stability-ai/sdxl"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


async def finished(replicate: Replicate, prediction: Prediction) -> Prediction:
    states = [prediction]
    states += [state async for state in replicate.follow(prediction, deadline=30)]
    assert states[-1].finished
    return states[-1]


async def image(replicate: Replicate, model: str, version: str | None = None, **input) -> bytes:
    prediction = await replicate.create(model, input, version=version)
    prediction = await finished(replicate, prediction)
    assert prediction.status == "succeeded"
    return await replicate.download(prediction.output[0])


async def test_a_prediction_gives_an_image_of_the_size_asked(replicate):
    asked = {"aspect_ratio": "16:9", "megapixels": "0.25", "output_format": "png"}
    png = await image(replicate, SCHNELL, prompt="a lighthouse", **asked)
    opened = Image.open(io.BytesIO(png))
    assert (opened.format, opened.size) == ("PNG", (672, 384))


async def test_prompt_and_seed_decide_the_image(replicate):
    seeds = ({"seed": 7}, {"seed": 7}, {"seed": 8}, {})
    first, again, other_seed, unseeded = await asyncio.gather(
        *(image(replicate, SCHNELL, prompt="a fox", width=64, height=64, **seed) for seed in seeds)
    )
    assert first == again
    assert len({first, other_seed, unseeded}) == 3


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
async def test_every_model_runs(replicate, model):
    # A model that changes an image needs one.
    image = {"image": PIXEL} if model.inputs.get("image", {}).get("required") else {}
    created = await replicate.create(
        model.id, {"prompt": "[hang]", **image}, version=model.version, cancel_after=60
    )
    assert (created.model, created.output, created.finished) == (model.id, [], False)


async def test_a_community_model_runs_by_version(replicate):
    png = await image(
        replicate, SDXL, MODELS[SDXL].version, prompt="[SLOW] a fox", width=64, height=64
    )
    assert Image.open(io.BytesIO(png)).size == (64, 64)
    with pytest.raises(ProviderError) as refusal:
        await replicate.create(SDXL, {"prompt": "a fox"}, version="0" * 64)
    assert (refusal.value.code, refusal.value.permanent) == ("invalid_input", True)
    assert SDXL in str(refusal.value)


@pytest.mark.parametrize(
    "model",
    ["invalid-model-id", "nobody/nothing", SDXL, "../x", f"{SCHNELL}/../../x", f"{SCHNELL}?a", ""],
)
async def test_an_unknown_model_is_a_permanent_error_that_names_it(replicate, model):
    with pytest.raises(ProviderError, match="no model") as refusal:
        await replicate.create(model, {"prompt": "a fox"})
    assert (refusal.value.code, refusal.value.permanent) == ("model_not_found", True)
    assert model in str(refusal.value)


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({}, "prompt is required"),
        ({"prompt": 1}, "input.prompt"),
        ({"prompt": "a fox", "num_outputs": 0}, "input.num_outputs"),
        ({"prompt": "a fox", "num_outputs": 5}, "input.num_outputs"),
        ({"prompt": "a fox", "aspect_ratio": "tall"}, "input.aspect_ratio"),
        ({"prompt": "a fox", "seed": True}, "input.seed"),
    ],
)
async def test_an_invalid_input_is_a_permanent_error_that_names_the_field(replicate, input, field):
    with pytest.raises(ProviderError, match=field) as refusal:
        await replicate.create(SCHNELL, input)
    assert (refusal.value.code, refusal.value.permanent) == ("invalid_input", True)
    assert refusal.value.status == 422


@pytest.mark.parametrize(("tag", "reason"), [("[fail]", "CUDA out of memory"), ("[nsfw]", "NSFW")])
async def test_a_failed_prediction_is_a_state_and_no_exception(replicate, tag, reason):
    prediction = await finished(replicate, await replicate.create(SCHNELL, {"prompt": tag}))
    assert (prediction.status, prediction.output) == ("failed", [])
    assert reason in prediction.error


@pytest.mark.parametrize(
    ("tag", "code", "permanent"),
    [
        ("[402]", "no_credit", True),
        ("[500]", "provider_error", False),
        ("[503]", "provider_error", False),
    ],
)
async def test_a_refusal_says_whether_another_attempt_can_help(
    simulator, connect, tag, code, permanent
):
    replicate = connect(simulator.token, simulator.base_url, max_wait=0)
    with pytest.raises(ProviderError) as refusal:
        await replicate.create(SCHNELL, {"prompt": tag})
    assert (refusal.value.code, refusal.value.permanent) == (code, permanent)
    assert refusal.value.status == int(tag[1:-1])


async def test_a_throttled_create_is_repeated_after_the_wait_asked_for(replicate):
    prediction = await replicate.create(SCHNELL, {"prompt": "[429] [hang]"})
    assert prediction.status in ("starting", "processing")


async def test_a_wait_beyond_the_limit_is_left_to_the_caller(simulator, connect):
    replicate = connect(simulator.token, simulator.base_url, max_wait=0.9)
    with pytest.raises(ProviderError) as refusal:
        await replicate.create(SCHNELL, {"prompt": "[429] left to the caller"})
    assert (refusal.value.code, refusal.value.retry_after) == ("rate_limited", 1)
    assert not refusal.value.permanent
    await replicate.create(SCHNELL, {"prompt": "[429] left to the caller"})


async def test_a_cancelled_prediction_stays_cancelled(replicate):
    prediction = await replicate.create(SCHNELL, {"prompt": "[hang]"})
    assert (await replicate.cancel(prediction.id)).status == "canceled"
    assert (await replicate.cancel(prediction.id)).status == "canceled"
    assert (await finished(replicate, prediction)).status == "canceled"


async def test_an_overdue_prediction_is_cancelled_at_the_provider(replicate):
    prediction = await replicate.create(SCHNELL, {"prompt": "[hang]"})
    with pytest.raises(ProviderError, match=SCHNELL) as overdue:
        async for _ in replicate.follow(prediction, deadline=0.3):
            pass
    assert (overdue.value.code, overdue.value.permanent) == ("deadline_exceeded", False)
    assert (await replicate.get(prediction.id)).status == "canceled"


@pytest.mark.parametrize("prediction_id", ["unknown", "../models", ""])
async def test_an_unknown_prediction_is_not_found(replicate, prediction_id):
    for call in (replicate.get, replicate.cancel):
        with pytest.raises(ProviderError) as missing:
            await call(prediction_id)
        assert missing.value.code == "prediction_not_found"


async def test_a_wrong_token_is_unauthorized(simulator, connect):
    replicate = connect("r8_wrong", simulator.base_url)
    with pytest.raises(ProviderError) as refusal:
        await replicate.create(SCHNELL, {"prompt": "a fox"})
    assert (refusal.value.code, refusal.value.permanent) == ("unauthorized", True)
    assert "r8_wrong" not in str(refusal.value)


@pytest.mark.parametrize("token", ["", "r8_secret\n", "r8_secret ", "r8_sécret"])
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token):
    with pytest.raises(ProviderError, match="token") as refusal:
        Replicate(token)
    assert refusal.value.code == "unauthorized"
    assert "cret" not in str(refusal.value)
