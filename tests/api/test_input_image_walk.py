"""Every shipped model with input images, from the upload to the image that shows it."""

import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from lib.provider.simulator.models import SHIPPED

pytestmark = pytest.mark.slow

BLUE = (30, 60, 220)
SIDES = (320, 200)


def png(size: tuple[int, int] = SIDES) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, BLUE).save(file, "PNG")
    return file.getvalue()


def file_inputs(model_id: str) -> dict[str, bool]:
    """The inputs that take files, and whether they take several."""
    inputs = SHIPPED[model_id].inputs
    return {
        name: field.get("type") == "array"
        for name, field in inputs.items()
        if "uri" in (field.get("format"), field.get("items", {}).get("format"))
    }


WITH_FILES = [model_id for model_id in SHIPPED if file_inputs(model_id)]


def test_every_shipped_model_with_input_images_uses_an_upload(call, db, served):
    assert len(WITH_FILES) > 20
    uploads = [call("uploads", content=png()).json()["upload"] for _ in range(2)]
    jobs = {}
    for model_id in WITH_FILES:
        asked: dict[str, Any] = {"model_id": model_id, "test": True}
        if "prompt" in SHIPPED[model_id].inputs:
            asked["prompt"] = f"In the style of {model_id}"
        for name, several in file_inputs(model_id).items():
            asked[name] = uploads if several else uploads[0]
        answer = call("start-generation", asked)
        assert answer.status_code == 200, (model_id, answer.text)
        jobs[model_id] = answer.json()["job_id"]
    while call("process-jobs").json()["processed"]:
        pass
    for model_id, job_id in jobs.items():
        row = db.execute(
            "select g.status, g.error_message, g.storage_path, p.input, p.given_files"
            " from job_queue q join image_generations g on g.id = generation_of(q.payload)"
            " join predictions p on p.generation_id = g.id where q.id = %s",
            [job_id],
        ).fetchone()
        assert row["status"] == "completed", (model_id, row["error_message"])
        assert row["given_files"].keys() <= set(uploads)
        assert "upload:" in json.dumps(row["input"])
        assert "/v1/files/" not in json.dumps(row["input"])
        with Image.open(served.settings.images / row["storage_path"]) as image:
            check_image(model_id, image)


def check_image(model_id: str, image: Image.Image) -> None:
    middle = image.convert("RGBA").getpixel((image.width // 2, image.height // 2))
    assert isinstance(middle, tuple)
    red, _, blue, alpha = middle
    assert blue > red, (model_id, middle)
    if "remove" in model_id:
        corner = image.convert("RGBA").getpixel((0, 0))
        assert (image.size, alpha, corner[3]) == (SIDES, 255, 0)
    elif "upscale" in model_id or "esrgan" in model_id:
        factor = 4 if "esrgan" in model_id else 2
        assert image.size == (SIDES[0] * factor, SIDES[1] * factor)
    else:
        assert image.size == SIDES
