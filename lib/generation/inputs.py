"""Turn an input with references into the input as sent to the provider."""

import asyncio
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from lib.database import AsyncPool, connected, load_async
from lib.generation.uploads import check_input_image, texts_of
from lib.provider import Provider, ProviderError
from lib.provider.files import OutputFiles
from lib.queue.worker_calls import JobFailed
from lib.storage import Storage, StorageError
from lib.storage.images import MEDIA_TYPES

REFERENCE = "upload:"
FETCH_SECONDS = 60.0
"""How long fetching an input image for a provider may take."""


class InputFiles:
    """Gives providers those files of inputs that they cannot read by themselves."""

    def __init__(self, pool: AsyncPool, storage: Storage) -> None:
        self._pool = pool
        self._storage = storage
        self._sql = load_async("uploads")

    async def give(
        self, provider: Provider, generation_id: UUID, model_id: str, input: Mapping[str, Any]
    ) -> dict[str, str]:
        """Give the files of an input, each once, and return what takes their places.

        By text of the input: references of uploads that the generation uses, and addresses unless
        the provider reads them itself. Raises ProviderError, StorageError, and JobFailed if a file
        is gone.
        """
        given: dict[str, str] = {}
        if any(text.startswith(REFERENCE) for _, text in texts_of(input)):
            given |= await self._give_uploads(provider, generation_id, input)
        if not provider.reads_addresses:
            given |= await self._give_addresses(provider, model_id, input)
        return given

    async def _give_uploads(
        self, provider: Provider, generation_id: UUID, input: Mapping[str, Any]
    ) -> dict[str, str]:
        wanted = {text for _, text in texts_of(input)}
        async with connected(self._pool) as connection:
            uploads = self._sql.of_generation(connection, generation_id=generation_id)
            rows = [row async for row in uploads if row["reference"] in wanted]
        given = {}
        for row in rows:
            path = row["storage_path"]
            try:
                content = await asyncio.to_thread(self._storage.read, path)
            except FileNotFoundError as error:
                raise JobFailed(
                    "An uploaded input image is no longer stored. Upload it again.",
                    code="input_unavailable",
                    permanent=True,
                ) from error
            given[row["reference"]] = await provider.give_file(
                PurePosixPath(path).name, content, row["content_type"]
            )
        return given

    async def _give_addresses(
        self, provider: Provider, model_id: str, input: Mapping[str, Any]
    ) -> dict[str, str]:
        addresses = [(name, text) for name, text in texts_of(input) if _is_address(text)]
        if not addresses:
            return {}
        async with connected(self._pool) as connection:
            rows = self._sql.file_inputs(connection, model_id=model_id)
            names = {row["name"] async for row in rows}
        given = {}
        for address in dict.fromkeys(text for name, text in addresses if name in names):
            content = await _fetched(address)
            try:
                extension = (await check_input_image(content)).extension
            except StorageError as error:
                message = f"An input image cannot be used. {error}"
                raise JobFailed(message, code="input_unavailable", permanent=True) from error
            given[address] = await provider.give_file(
                f"input.{extension}", content, MEDIA_TYPES[extension]
            )
        return given


def with_files(input: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """An input with what takes the places of its files."""

    def replaced(value: Any) -> Any:
        return given.get(value, value) if isinstance(value, str) else value

    return {
        name: [replaced(item) for item in value] if isinstance(value, list) else replaced(value)
        for name, value in input.items()
    }


def _is_address(text: str) -> bool:
    return text[:8].lower() == "https://"


async def _fetched(address: str) -> bytes:
    """The file at an address that everybody can reach. Raises ProviderError."""
    # Trusts no server, so that nobody has internal addresses read.
    files = OutputFiles([])
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            return await files.fetch(address)
    except ProviderError as error:
        raise ProviderError(
            f"An input image cannot be fetched. {error}",
            code="input_unavailable",
            permanent=error.code != "image_unreachable",
        ) from error
    except TimeoutError as error:
        raise ProviderError(
            f"An input image did not load within {FETCH_SECONDS:g} s.", code="input_unavailable"
        ) from error
    finally:
        await files.aclose()
