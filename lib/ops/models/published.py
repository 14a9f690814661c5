"""Fetch a model from the provider, and check that Darkroom can run it."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from lib.provider import Capability, Provider, ProviderError, PublishedModel

ANSWER_SECONDS = 20.0
_NAME = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
_ADDRESS = re.compile(
    rf"(?:(?:https?://)?(?:www\.)?replicate\.com/)?(?P<model>{_NAME})"
    r"(?:(?:/versions/|:)(?P<version>[0-9a-f]{64}))?(?:/[\w./-]*)?/?(?:[?#].*)?",
    re.ASCII,
)


class ModelRefused(Exception):
    """The model cannot be added or refreshed; the message says why in sentences."""


def parse_address(text: str) -> tuple[str, str | None]:
    """The model, as owner/name, and the version that a name or web address names.

    Raises ModelRefused.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        raise ModelRefused(
            "Not a model name or address. Enter owner/name, such as"
            " black-forest-labs/flux-schnell, or the model's address on replicate.com."
        )
    return found["model"], found["version"]


def fetch(provider: Provider | None, text: str) -> PublishedModel:
    """The model that a name or web address names. Closes the provider.

    `provider` is None if this process cannot reach one. Raises ModelRefused.
    """
    model, version = parse_address(text)
    if provider is None:
        raise ModelRefused(
            "This process cannot reach the provider: it has no API token, and no simulator is"
            " running here."
        )
    try:
        published = asyncio.run(_fetch(provider, model, version))
    except ProviderError as error:
        if error.code == "model_not_found" and error.status == 404:
            raise ModelRefused(
                f"The provider has no model {model} that this API token may use. Check the"
                " spelling; a private model needs its owner's token."
            ) from error
        raise ModelRefused(str(error)) from error
    except TimeoutError as error:
        raise ModelRefused(f"The provider did not respond within {ANSWER_SECONDS:g} s.") from error
    require_runnable(published)
    return published


async def _fetch(provider: Provider, model: str, version: str | None) -> PublishedModel:
    try:
        if Capability.MODEL not in provider.capabilities:
            raise ModelRefused(f"{provider.name} does not publish the inputs of its models.")
        async with asyncio.timeout(ANSWER_SECONDS):
            return await provider.model(model, version=version)
    finally:
        await provider.aclose()


def require_runnable(model: PublishedModel) -> None:
    """Raise ModelRefused for a model that makes no images, or none of a prompt or an image."""
    if model.makes:
        raise ModelRefused(f"{model.id} makes {model.makes}, not images.")
    takes_prompt = model.inputs.get("prompt", {}).get("type") == "string"
    if not (takes_prompt or any(map(takes_file, model.inputs.values()))):
        raise ModelRefused(
            f"{model.id} takes neither a prompt nor an image. Darkroom runs only models that make"
            " images from them."
        )
    for name, field in model.inputs.items():
        if field.get("required") and field.get("x-cog-secret"):
            raise ModelRefused(f"{model.id} needs the secret {name}, which Darkroom never sends.")


def takes_file(field: Mapping[str, Any]) -> bool:
    """Whether an input takes a file or a list of files."""
    items = field.get("items")
    return field.get("format") == "uri" or (
        isinstance(items, Mapping) and items.get("format") == "uri"
    )
