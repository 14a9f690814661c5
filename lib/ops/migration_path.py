"""Gradual migration to the queue: rollout by user, and the synchronous path for everyone else.

For applications that call the model inside the request and move to the queue step by step.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async
from lib.provider import CANCEL_MARGIN_SECONDS, Prediction, Provider, ProviderError
from lib.queue.worker_calls import Queue, StartedGeneration, storable
from lib.storage import Storage, StorageError, StoredImage, output_folder

logger = logging.getLogger(__name__)

CREATE_SECONDS = 10.0
"""How long a cancelled request waits for the id of the prediction it just created."""


@dataclass(frozen=True, slots=True)
class Generated:
    """An image generated synchronously."""

    generation_id: UUID
    image_url: str


class GenerationFailed(Exception):
    """The image could not be generated; the message says why.

    `code` is the error code. `permanent` means a retry cannot succeed. `retry_after` is the wait in
    seconds that the provider requested, if any.
    """

    def __init__(
        self,
        message: str,
        *,
        generation_id: UUID,
        code: str,
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.generation_id = generation_id
        self.code = code
        self.permanent = permanent
        self.retry_after = retry_after


class Rollout:
    """Both paths of an application. `deadline_seconds` limits the run time of a prediction.

    Every method raises DatabaseUnavailable while the database is unreachable.
    """

    def __init__(
        self,
        pool: AsyncPool,
        provider: Provider,
        storage: Storage,
        *,
        deadline_seconds: float,
    ) -> None:
        self._pool = pool
        self._queue = Queue(pool)
        self._provider = provider
        self._storage = storage
        self._deadline_seconds = deadline_seconds
        self._sql = load_async("synchronous_path")

    async def use_async_for_user(self, user_id: UUID | None) -> bool:
        """Whether the user's generations go through the queue; stable for each user.

        Requests without a user (None) do so only at 100%.
        """
        async with connected(self._pool) as connection:
            return bool(await self._sql.use_async_for_user(connection, user_id=user_id))

    async def generate(
        self,
        *,
        user_id: UUID | None,
        prompt: str,
        model_id: str,
        parameters: Mapping[str, Any],
    ) -> StartedGeneration | Generated:
        """Enqueue a generation or run it synchronously, depending on the rollout.

        Raises what Queue.start_generation and generate_synchronously raise.
        """
        if await self.use_async_for_user(user_id):
            return await self._queue.start_generation(
                user_id=user_id,
                prompt=prompt,
                model_id=model_id,
                parameters=parameters,
                source="app",
                idempotency_key=None,
            )
        return await self.generate_synchronously(
            user_id=user_id, prompt=prompt, model_id=model_id, parameters=parameters
        )

    async def generate_synchronously(
        self,
        *,
        user_id: UUID | None,
        prompt: str,
        model_id: str,
        parameters: Mapping[str, Any],
        source: Literal["app", "test"] = "app",
    ) -> Generated:
        """Generate an image within the request, subject to the user's limits; record the outcome.

        Makes a single attempt. Cancelling the caller cancels the prediction. Raises
        GenerationFailed. Raises QueryError before anything is started, with sqlstate DR404 (unknown
        model), DR429 (over the limit; limits in its detail) or 22023 (empty prompt).
        """
        row = await self._start(user_id, prompt, model_id, parameters, source)
        generation_id: UUID = row["generation_id"]
        run = _Run(self._provider, self._deadline_seconds)
        try:
            addresses = await run.images(model_id, json.loads(row["input"]), row["version"])
            folder = output_folder(user_id, generation_id)
            stored = []
            for index, address in enumerate(addresses):
                image = await self._provider.download(address)
                stored.append(await self._storage.save(f"{folder}/{index}", image))
            await self._end(generation_id, run, "completed", stored=stored)
        except (ProviderError, StorageError) as error:
            failure = _failure(generation_id, error)
            await self._end(generation_id, run, "failed", failure.code, str(failure))
            raise failure from error
        except asyncio.CancelledError:
            message = "The request was cancelled."
            await self._end(generation_id, run, "cancelled", "cancelled", message)
            raise
        except DatabaseUnavailable:
            raise  # The outcome cannot be recorded either.
        except Exception as error:
            await self._end(generation_id, run, "failed", "internal_error", str(error))
            raise
        return Generated(generation_id, stored[0].url)

    async def _start(
        self,
        user_id: UUID | None,
        prompt: str,
        model_id: str,
        parameters: Mapping[str, Any],
        source: str,
    ) -> Mapping[str, Any]:
        async with connected(self._pool) as connection:
            row: Mapping[str, Any] = await self._sql.start_sync_generation(
                connection,
                user_id=user_id,
                prompt=prompt,
                model_id=model_id,
                parameters=json.dumps(parameters),
                source=source,
            )
            return row

    async def _end(
        self,
        generation_id: UUID,
        run: "_Run",
        outcome: str,
        error_code: str | None = None,
        error_message: str | None = None,
        *,
        stored: Sequence[StoredImage] = (),
    ) -> None:
        first = stored[0] if stored else None
        async with connected(self._pool) as connection:
            await self._sql.end_sync_generation(
                connection,
                generation_id=generation_id,
                outcome=outcome,
                error_code=error_code,
                error_message=error_message and storable(error_message),
                image_url=first and first.url,
                storage_path=first and first.path,
                thumbnail_path=first and first.thumbnail_path,
                prediction_id=run.prediction_id,
                outputs=json.dumps([_row(index, image) for index, image in enumerate(stored)]),
            )


class _Run:
    """One run of a model; `prediction_id` is set once the prediction is created."""

    def __init__(self, provider: Provider, deadline_seconds: float) -> None:
        self.prediction_id: str | None = None
        self._provider = provider
        self._deadline_seconds = deadline_seconds

    async def images(
        self, model_id: str, input: Mapping[str, Any], version: str | None
    ) -> Sequence[str]:
        """Run the model to completion and return the URLs of its images. Raises ProviderError."""
        creating = asyncio.create_task(self._create(model_id, input, version))
        try:
            prediction = await asyncio.shield(creating)
            following = self._provider.follow(prediction, deadline=self._deadline_seconds)
            async for state in following:
                prediction = state
        except asyncio.CancelledError:
            # The prediction may already be running and would be billed.
            await asyncio.wait([creating], timeout=CREATE_SECONDS)
            creating.cancel()
            await self._cancel()
            raise
        return prediction.images

    async def _create(
        self, model_id: str, input: Mapping[str, Any], version: str | None
    ) -> Prediction:
        prediction = await self._provider.create(
            model_id,
            input,
            version=version,
            cancel_after=self._deadline_seconds + CANCEL_MARGIN_SECONDS,
        )
        self.prediction_id = prediction.id
        return prediction

    async def _cancel(self) -> None:
        if self.prediction_id is None:
            return
        try:
            await self._provider.cancel(self.prediction_id)
        except ProviderError as error:
            logger.warning("Prediction %s was not cancelled: %s", self.prediction_id, error)


def _row(index: int, image: StoredImage) -> Mapping[str, Any]:
    """An image as a row of the table outputs."""
    columns = asdict(image)
    return {"index": index, "storage_path": columns.pop("path"), **columns}


def _failure(generation_id: UUID, error: ProviderError | StorageError) -> GenerationFailed:
    if isinstance(error, StorageError):
        return GenerationFailed(str(error), generation_id=generation_id, code=error.code)
    return GenerationFailed(
        str(error),
        generation_id=generation_id,
        code=error.code,
        permanent=error.permanent,
        retry_after=error.retry_after,
    )
