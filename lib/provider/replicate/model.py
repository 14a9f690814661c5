"""Parse models from Replicate API responses."""

import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from lib.provider.answers import json_object, unexpected
from lib.provider.contract import ProviderError, PublishedModel
from lib.provider.schemas import inputs_of, output_of, schemas_of

MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
VERSION = re.compile(r"[0-9a-f]{64}")
NOT_IMAGES = frozenset(
    [
        *("mp4", "webm", "mov", "avi", "mkv", "mp3", "wav", "ogg", "flac", "m4a", "glb", "gltf"),
        *("obj", "ply", "stl", "usdz", "zip", "tar", "txt", "json", "pdf"),
    ]
)
"""Extensions of files that models make instead of images."""


def parse_model(body: bytes, version: bytes | None = None) -> PublishedModel:
    """The model in a response body, in its latest version or the one in the body `version`.

    Raises ProviderError if it is malformed, larger than a schema of inputs should be, or has no
    version that can be run.
    """
    answer = json_object(body)
    owner, name = answer.get("owner"), answer.get("name")
    model = f"{owner}/{name}"
    if not (isinstance(owner, str) and isinstance(name, str) and MODEL.fullmatch(model)):
        raise unexpected("has no owner and name of a model")
    official = answer.get("is_official") is True
    chosen = answer.get("latest_version") if version is None else json_object(version)
    if chosen is None:
        raise ProviderError(
            f"{model} has no version that can be run.", code="model_not_found", permanent=True
        )
    id = chosen.get("id") if isinstance(chosen, dict) else None
    if not official and not (isinstance(id, str) and VERSION.fullmatch(id)):
        raise unexpected("has no version id")
    schemas = schemas_of(chosen.get("openapi_schema") if isinstance(chosen, dict) else None)
    shape, makes = output_of(schemas)
    return PublishedModel(
        id=model,
        official=official,
        version=None if official else id,
        inputs=inputs_of(schemas),
        output_shape=shape,
        makes=makes or _other_files(answer.get("default_example")),
    )


def model_path(model: str, version: str | None = None) -> str:
    """The path of a model, or of one of its versions. Raises ProviderError if it has none."""
    fault = ""
    if not MODEL.fullmatch(model):
        fault = f"Replicate has no model {model[:200]}: its models are named owner/name."
    elif version is not None and not VERSION.fullmatch(version):
        fault = f"{model} has no version {version[:200]}: versions have 64 digits 0-9 and a-f."
    if fault:
        raise ProviderError(fault, code="model_not_found", permanent=True, no_effect=True)
    return f"/v1/models/{model}" if version is None else f"/v1/models/{model}/versions/{version}"


def _other_files(example: Any) -> str | None:
    output = example.get("output") if isinstance(example, dict) else None
    first = output[0] if isinstance(output, list) and output else output
    try:
        path = urlsplit(first).path if isinstance(first, str) else ""
    except ValueError:
        return None
    extension = PurePosixPath(path).suffix.lower().removeprefix(".")
    return f"{extension} files" if extension in NOT_IMAGES else None
