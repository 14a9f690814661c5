"""The input images of predictions: fetched when one is created, kept for drawing its outputs."""

import asyncio
import io
import re
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from lib.provider.contract import ProviderError
from lib.provider.files import OutputFiles
from lib.provider.simulator.models import Model
from lib.provider.simulator.predictions import DATA_SECONDS
from lib.provider.simulator.uploads import Uploads

FETCH_SECONDS = 10.0
MAX_SIDE = 12_000
"""Larger images are reduced, as they would take too long."""


class Unreadable(Exception):
    """An input image that the model cannot read; the message is the prediction's error."""


class InputImages:
    """The first input image of each prediction, as a file in the simulator's folder."""

    def __init__(self, folder: Path, uploads: Uploads) -> None:
        self._folder = folder / "inputs"
        self._uploads = uploads

    async def keep(self, prediction_id: str, model: Model, fields: Mapping[str, Any]) -> None:
        """Fetch the images of a prediction's input and keep the first. Raises Unreadable."""
        first = None
        for address in _addresses(model, fields):
            content = await self._fetched(address)
            await asyncio.to_thread(_opened, content)
            first = first or content
        if first:
            await asyncio.to_thread(self._write, prediction_id, first)

    def base(self, prediction_id: str) -> Image.Image | None:
        """The image that a prediction's outputs are drawn from; None if its input has none."""
        try:
            return _opened((self._folder / prediction_id).read_bytes())
        except FileNotFoundError:
            return None

    def _write(self, prediction_id: str, content: bytes) -> None:
        self._folder.mkdir(exist_ok=True)
        for file in self._folder.iterdir():
            if file.stat().st_mtime < time.time() - 2 * DATA_SECONDS:
                file.unlink(missing_ok=True)
        (self._folder / prediction_id).write_bytes(content)

    async def _fetched(self, address: str) -> bytes:
        if address[:5].lower() == "data:":
            return b64decode(address.partition(",")[2])
        if uploaded := re.fullmatch(r"http://127\.0\.0\.1:\d+/v1/files/([a-z0-9]+)", address):
            content = await asyncio.to_thread(self._uploads.content, uploaded[1])
            if content is None:
                raise Unreadable("The input file does not exist, or has expired.")
            return content
        files = OutputFiles([])
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await files.fetch(address)
        except (ProviderError, TimeoutError) as error:
            raise Unreadable(f"The input image cannot be fetched: {error}") from error
        finally:
            await files.aclose()


def _addresses(model: Model, fields: Mapping[str, Any]) -> Iterator[str]:
    """The addresses in the inputs that take files, masks last."""
    for name in sorted(fields.keys() & model.inputs.keys(), key=lambda name: "mask" in name):
        field, value = model.inputs[name], fields[name]
        if "uri" in (field.get("format"), field.get("items", {}).get("format")):
            yield from value if isinstance(value, list) else [value] if value else []


def _opened(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
        image.draft("RGB", (MAX_SIDE, MAX_SIDE))
        image.load()
    # Decoders raise whatever a damaged file makes them.
    except Exception as error:
        raise Unreadable("The input is not a readable image.") from error
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return ImageOps.exif_transpose(image)
