"""Turn an input with references into the input as sent to the provider."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from lib.database import AsyncPool, connected, load_async
from lib.generation.uploads import check_input_image, data_uri_problems, texts_of
from lib.provider import Provider, ProviderError
from lib.provider.files import OutputFiles
from lib.queue.worker_calls import JobFailed
from lib.storage import Storage, StorageError
from lib.storage.images import MEDIA_TYPES

REFERENCE = "upload:"
GIVE_SECONDS = 120.0
"""How long giving all files of an input to a provider may take."""
MAX_DATA_BYTES = 50 * 2**20
"""Of all files of an input that are sent as data URIs: they are in memory several times."""
InputFile = tuple[str, str, bytes, str]
"""The text that stands for a file in the input, its name, content and media type."""


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
        is gone or cannot be used.
        """
        # What start-generation received is decoded already, what enqueue_job received is not.
        if problems := await data_uri_problems(input):
            reasons = " ".join(f"{each['field']}: {each['problem']}" for each in problems)
            raise _unusable(reasons)
        given: dict[str, str] = {}
        size = 0
        try:
            async with asyncio.timeout(GIVE_SECONDS):
                async for text, name, content, media_type in self._files(
                    provider, generation_id, model_id, input
                ):
                    size += len(content)
                    if size > MAX_DATA_BYTES and not provider.reads_addresses:
                        most = MAX_DATA_BYTES // 2**20
                        raise _unusable(f"The input images together are larger than {most} MB.")
                    given[text] = await provider.give_file(name, content, media_type)
        except TimeoutError as error:
            raise ProviderError(
                f"The input images could not be sent within {GIVE_SECONDS:g} s.",
                code="input_unavailable",
            ) from error
        return given

    async def _files(
        self, provider: Provider, generation_id: UUID, model_id: str, input: Mapping[str, Any]
    ) -> AsyncIterator[InputFile]:
        if any(text.startswith(REFERENCE) for _, text in texts_of(input)):
            async for file in self._uploads(generation_id, input):
                yield file
        if not provider.reads_addresses:
            async for file in self._fetched(model_id, input):
                yield file

    async def _uploads(
        self, generation_id: UUID, input: Mapping[str, Any]
    ) -> AsyncIterator[InputFile]:
        wanted = {text for _, text in texts_of(input)}
        async with connected(self._pool) as connection:
            uploads = self._sql.of_generation(connection, generation_id=generation_id)
            rows = [row async for row in uploads if row["reference"] in wanted]
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
            yield row["reference"], PurePosixPath(path).name, content, row["content_type"]

    async def _fetched(self, model_id: str, input: Mapping[str, Any]) -> AsyncIterator[InputFile]:
        addresses = [(name, text) for name, text in texts_of(input) if _is_address(text)]
        if not addresses:
            return
        async with connected(self._pool) as connection:
            rows = self._sql.file_inputs(connection, model_id=model_id)
            names = {row["name"] async for row in rows}
        for address in dict.fromkeys(text for name, text in addresses if name in names):
            content = await _fetch(address)
            try:
                extension = (await check_input_image(content)).extension
            except StorageError as error:
                raise _unusable(str(error)) from error
            yield address, f"input.{extension}", content, MEDIA_TYPES[extension]


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


async def _fetch(address: str) -> bytes:
    """The file at an address that everybody can reach. Raises ProviderError."""
    # Trusts no server, so that nobody has internal addresses read.
    files = OutputFiles([])
    try:
        return await files.fetch(address)
    except ProviderError as error:
        raise ProviderError(
            f"An input image cannot be fetched. {error}",
            code="input_unavailable",
            permanent=error.code != "image_unreachable",
        ) from error
    finally:
        await files.aclose()


def _unusable(reason: str) -> JobFailed:
    message = f"An input image cannot be used. {reason}"
    return JobFailed(message, code="input_unavailable", permanent=True)
