"""Replicate's own Python client against the simulator, which it must find to be Replicate."""

import io
import os
import time
from importlib import import_module
from typing import Any

import pytest
from PIL import Image

from lib.provider.simulator.models import MODELS
from lib.provider.simulator.schemas import json_schema
from lib.provider.simulator.server import Simulator

try:
    # Installed by .ci/run alone: the application does not need it.
    replicate: Any = import_module("replicate")
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("replicate is not installed", allow_module_level=True)

SCHNELL = "black-forest-labs/flux-schnell"
PRO = "black-forest-labs/flux-1.1-pro"
SDXL = MODELS["stability-ai/sdxl"]


@pytest.fixture
def client(simulator: Simulator) -> Any:
    return replicate.Client(api_token=simulator.token, base_url=simulator.base_url)


def opened(client: Any, output: Any) -> Image.Image:
    # By itself it makes files only of https addresses.
    file = replicate.helpers.FileOutput(str(output), client)
    return Image.open(io.BytesIO(file.read()))


def refusal(client: Any, model: str = SCHNELL, **given: Any) -> Any:
    with pytest.raises(replicate.exceptions.ReplicateError) as refused:
        client.run(model, input=given)
    assert (refused.value.status, refused.value.title) == (422, "Input validation failed")
    return refused.value.detail


def test_one_output_is_a_file_of_the_size_and_format_asked_for(client: Any) -> None:
    size = {"aspect_ratio": "custom", "width": 640, "height": 384}
    output = client.run(PRO, input={"prompt": "a fox", "output_format": "png", **size})
    image = opened(client, output)
    assert (image.format, image.size) == ("PNG", (640, 384))
    assert str(output).endswith("/out-0.png")


def test_many_outputs_are_a_list(client: Any) -> None:
    asked = {"prompt": "a fox", "num_outputs": 3, "megapixels": "0.25", "aspect_ratio": "16:9"}
    outputs = client.run(SCHNELL, input=asked)
    images = [opened(client, output) for output in outputs]
    assert [image.size for image in images] == [(672, 384)] * 3
    assert {image.format for image in images} == {"WEBP"}
    assert len({image.tobytes() for image in images}) == 3


def test_a_community_model_runs_by_its_version(client: Any) -> None:
    ref = f"{SDXL.id}:{SDXL.version}"
    [output] = client.run(ref, input={"prompt": "a fox", "width": 512, "height": 256})
    assert opened(client, output).size == (512, 256)
    with pytest.raises(replicate.exceptions.ReplicateError) as refused:
        client.run(SDXL.id, input={"prompt": "a fox"})
    assert refused.value.status == 404


def test_an_unknown_input_is_dropped_silently(client: Any) -> None:
    [output] = client.run(SCHNELL, input={"prompt": "a fox", "width": 512, "height": 256})
    assert opened(client, output).size == (1024, 1024)


def test_an_invalid_input_is_refused(client: Any) -> None:
    assert refusal(client, prompt="a", aspect_ratio="5:1").startswith(
        '- input.aspect_ratio: input.aspect_ratio must be one of the following: "1:1", "16:9"'
    )
    assert refusal(client, prompt=5) == (
        "- input.prompt: Invalid type. Expected: string, given: integer\n"
    )
    assert refusal(client, prompt="a", num_outputs=5) == (
        "- input.num_outputs: Must be less than or equal to 4\n"
    )
    assert refusal(client, prompt="a", num_inference_steps=0) == (
        "- input.num_inference_steps: Must be greater than or equal to 1\n"
    )
    assert refusal(client) == "- input: prompt is required\n"
    both = refusal(client, prompt="a", num_outputs=5, output_quality=101)
    assert both.count("\n") == 2


def test_models_and_versions_are_described(client: Any) -> None:
    for model in MODELS.values():
        schemas = client.models.get(model.id).latest_version.openapi_schema["components"]["schemas"]
        wanted = json_schema(model)
        assert schemas["Input"]["required"] == wanted["required"]
        assert schemas["Input"]["properties"].keys() == wanted["properties"].keys()
        for name, field in schemas["Input"]["properties"].items():
            if "enum" in wanted["properties"][name]:
                assert field["allOf"] == [{"$ref": f"#/components/schemas/{name}"}]
                assert schemas[name]["enum"] == MODELS[model.id].inputs[name]["enum"]
        assert schemas["Output"]["type"] == ("string" if model.single_output else "array")
    model = client.models.get(SDXL.id)
    assert [version.id for version in model.versions.list()] == [SDXL.version]
    assert model.versions.get(SDXL.version).id == SDXL.version
    with pytest.raises(replicate.exceptions.ReplicateError) as refused:
        client.models.get(SCHNELL).versions.list()
    assert refused.value.status == 404


def test_predictions_are_listed_cancelled_and_end_at_their_deadline(
    client: Any, simulator: Simulator
) -> None:
    running = client.models.predictions.create(SCHNELL, input={"prompt": "[hang] listed"})
    assert running.status in ("starting", "processing")
    assert running.id in [prediction.id for prediction in client.predictions.list().results]
    running.cancel()
    running.reload()
    assert running.status == "canceled"
    hurried = replicate.Client(
        api_token=simulator.token, base_url=simulator.base_url, headers={"Cancel-After": "1s"}
    )
    late = hurried.models.predictions.create(SCHNELL, input={"prompt": "[hang]"})
    until = time.monotonic() + 10
    while late.status in ("starting", "processing") and time.monotonic() < until:
        time.sleep(0.1)
        late.reload()
    assert late.status == "canceled"


@pytest.mark.parametrize(
    ("model", "error"), [(SCHNELL, "NSFW content"), (PRO, "E005"), ("google/imagen-4", "E005")]
)
def test_a_refusal_is_an_error_of_the_model(client: Any, model: str, error: str) -> None:
    with pytest.raises(replicate.exceptions.ModelError, match=error):
        client.run(model, input={"prompt": "[nsfw]"})


def test_some_models_leave_flagged_images_out(client: Any) -> None:
    assert client.run("stability-ai/stable-diffusion-3.5-large", input={"prompt": "[nsfw]"}) == []
    asked = {"prompt": "[flagged]", "num_outputs": 3, "megapixels": "0.25"}
    assert [str(output)[-10:] for output in client.run(SCHNELL, input=asked)] == [
        "out-1.webp",
        "out-2.webp",
    ]


def test_a_file_is_uploaded_listed_and_deleted(client: Any) -> None:
    content = io.BytesIO(b"\x89PNG\r\n\x1a\n\x00\xff")
    made = client.files.create(content, filename="a fox.png", metadata={"n": 1})
    assert (made.name, made.size, made.metadata) == ("a fox.png", 10, {"n": 1})
    assert client.files.get(made.id).checksums == made.checksums
    assert made.id in [file.id for file in client.files.list()]
    assert client.files.delete(made.id)
    with pytest.raises(replicate.exceptions.ReplicateError):
        client.files.get(made.id)


def test_account_hardware_and_webhook_secret(client: Any) -> None:
    assert client.accounts.current().username == "simulator"
    assert {hardware.sku for hardware in client.hardware.list()} > {"cpu"}
    secret = client.webhooks.default.secret().key
    assert secret.startswith("whsec_")
    assert client.webhooks.default.secret().key == secret
