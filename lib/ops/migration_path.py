"""Gradual migration to the queue: rollout by user, and the synchronous path for everyone else.

For applications that call the model inside the request and move to the queue step by step.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from lib.database import AsyncPool, DatabaseUnavailable, connected, load_async
from lib.generation.inputs import InputFiles, with_files
from lib.ops.synchronous_run import SynchronousRun
from lib.provider import Prediction, Provider, ProviderError
from lib.queue.worker_calls import JobFailed, Queue, StartedGeneration, storable
from lib.storage import Storage, StorageError, StoredImage, output_folder

logger = logging.getLogger(__name__)


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

    `prompt_check`, such as a lib.generation.prompt_check.PromptCheck, sees the prompts of the
    synchronous path; workers have their own. Every method raises DatabaseUnavailable while the
    database is unreachable.
    """

    def __init__(
        self,
        pool: AsyncPool,
        provider: Provider,
        storage: Storage,
        *,
        deadline_seconds: float,
        prompt_check: Callable[[str, UUID | None, str], Awaitable[None]] | None = None,
    ) -> None:
        self._pool = pool
        self._queue = Queue(pool)
        self._provider = provider
        self._storage = storage
        self._files = InputFiles(pool, storage)
        self._deadline_seconds = deadline_seconds
        self._prompt_check = prompt_check
        self._sql = load_async("synchronous_path")
        self._prediction_calls = load_async("predictions")

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
        run = SynchronousRun(
            self._provider, self._deadline_seconds, row["prediction"], self._record
        )
        try:
            if self._prompt_check:
                await self._prompt_check(prompt, user_id, model_id)
            input = json.loads(row["input"])
            given = await self._files.give(self._provider, generation_id, model_id, input)
            addresses = await run.images(model_id, with_files(input, given), row["version"])
            folder = output_folder(user_id, generation_id)
            stored = []
            for index, address in enumerate(addresses):
                image = await self._provider.download(address)
                stored.append(await self._storage.save(f"{folder}/{index}", image))
            await self._end(generation_id, run, "completed", stored=stored)
        except (ProviderError, StorageError, JobFailed) as error:
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
                provider=self._provider.name,
            )
            return row

    async def _record(self, run: SynchronousRun, created: Prediction) -> None:
        try:
            async with connected(self._pool) as connection:
                await self._prediction_calls.record_prediction(
                    connection,
                    job_id=None,
                    attempt=None,
                    prediction=run.intent,
                    provider_id=created.id,
                    status=created.status,
                )
        except DatabaseUnavailable as error:
            logger.warning("Prediction %s is not recorded: %s", created.id, error)

    async def _end(
        self,
        generation_id: UUID,
        run: SynchronousRun,
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
                prediction_id=run.prediction.id if run.prediction else None,
                outputs=json.dumps([_row(index, image) for index, image in enumerate(stored)]),
            )
            if not run.sent:
                await self._prediction_calls.drop_intent(connection, prediction=run.intent)
            elif run.prediction is None or run.prediction.finished:
                ended = run.prediction
                await self._prediction_calls.end_prediction(
                    connection,
                    job_id=None,
                    attempt=None,
                    prediction=run.intent,
                    # Nobody looks for it: the request is not sent again.
                    status=ended.status if ended else "unknown",
                    error=storable(ended.error) if ended and ended.error else None,
                    log=storable(ended.logs) if ended else None,
                    predict_seconds=ended.predict_seconds if ended else None,
                    progress=0,
                    outputs=len(ended.output) if ended else None,
                )


def _row(index: int, image: StoredImage) -> Mapping[str, Any]:
    """An image as a row of the table outputs."""
    columns = asdict(image)
    return {"index": index, "storage_path": columns.pop("path"), **columns}


def _failure(
    generation_id: UUID, error: ProviderError | StorageError | JobFailed
) -> GenerationFailed:
    if isinstance(error, StorageError):
        return GenerationFailed(str(error), generation_id=generation_id, code=error.code)
    return GenerationFailed(
        str(error),
        generation_id=generation_id,
        code=error.code,
        permanent=error.permanent,
        retry_after=error.retry_after,
    )
