"""Run one image generation: create a prediction, follow it, store the image."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from lib.database import DatabaseUnavailable
from lib.generation.outputs import Outputs, may_have_expired, outputs_expired
from lib.provider import CANCEL_MARGIN_SECONDS, Capability, Prediction, Provider, ProviderError
from lib.queue.worker_calls import Claim, ClaimLost, Generation, JobFailed, Queue
from lib.storage import ImageRefused, NotAnImage, Storage, StorageError, StorageFailed

logger = logging.getLogger(__name__)

CREATE_TIMEOUT_SECONDS = 10.0
RECORD_RETRY_SECONDS = 0.5
# Progress shown to the user: the prediction covers the range between these.
CREATED_PERCENT, PREDICTED_PERCENT = 5, 95


class GenerationHandler:
    """Handler for generate-image jobs."""

    def __init__(
        self, queue: Queue, provider: Provider, storage: Storage, *, deadline_seconds: float
    ) -> None:
        self._queue = queue
        self._provider = provider
        self._outputs = Outputs(provider, storage)
        self._deadline_seconds = deadline_seconds
        self.outage = self._outputs.outage

    async def __call__(self, claim: Claim) -> Mapping[str, Any]:
        """Run a claim's generation and return the URL and path of its image.

        Raises JobFailed with the provider's reason, or ClaimLost.
        """
        if self.outage.reason:
            # Claimed before the storage failed: do not pay for what cannot be stored.
            raise JobFailed(self.outage.reason, code=StorageFailed.code)
        generation = await self._queue.begin_generation(claim)
        if generation.status == "completed":
            return {}
        until = asyncio.get_running_loop().time() + self._deadline_seconds
        try:
            prediction = await self._predict(claim, generation)
            if prediction.output:
                await self._queue.record_progress(claim, PREDICTED_PERCENT)
            stored = await self._outputs.store(
                generation.generation_id,
                prediction,
                earlier=prediction.id == generation.prediction_id,
                until=until,
            )
        except ProviderError as error:
            raise JobFailed(
                str(error),
                code=error.code,
                permanent=error.permanent,
                retry_after=error.retry_after,
            ) from error
        except StorageError as error:
            permanent = isinstance(error, ImageRefused | NotAnImage)
            raise JobFailed(str(error), code=error.code, permanent=permanent) from error
        return {"image_url": stored.url, "storage_path": stored.path}

    async def cancel(self, claim: Claim) -> None:
        """Cancel the prediction of a cancelled job."""
        prediction_id = await self._queue.prediction_of(claim)
        if prediction_id is not None:
            await self._cancel(prediction_id)

    async def _predict(self, claim: Claim, generation: Generation) -> Prediction:
        prediction = await self._earlier_prediction(generation)
        if prediction is None:
            creating = asyncio.create_task(self._create(claim, generation))
            try:
                prediction = await asyncio.shield(creating)
            except asyncio.CancelledError:
                # It may already have been created: its ID must not be lost.
                await asyncio.wait([creating], timeout=CREATE_TIMEOUT_SECONDS)
                creating.cancel()
                raise
        if prediction.finished:
            return prediction
        async for prediction in self._provider.follow(  # noqa: B020
            prediction, deadline=self._deadline_seconds
        ):
            if prediction.progress is not None:
                span = PREDICTED_PERCENT - CREATED_PERCENT
                percent = CREATED_PERCENT + prediction.progress * span // 100
                await self._queue.record_progress(claim, percent)
        return prediction

    async def _create(self, claim: Claim, generation: Generation) -> Prediction:
        prediction = await self._provider.create(
            generation.model_id,
            generation.input,
            version=generation.version,
            cancel_after=self._deadline_seconds + CANCEL_MARGIN_SECONDS,
            # The queue delays all jobs of the model, and the slot is free for others.
            wait_out_rate_limits=False,
        )
        try:
            await self._record(claim, prediction)
        except (ClaimLost, asyncio.CancelledError):
            # The next attempt would not know about this prediction.
            await self._cancel(prediction.id)
            raise
        await self._queue.record_progress(claim, CREATED_PERCENT)
        return prediction

    async def _record(self, claim: Claim, prediction: Prediction) -> None:
        """Store the prediction ID, retrying for as long as the database is unreachable."""
        while True:
            try:
                return await self._queue.record_prediction(claim, prediction.id)
            except DatabaseUnavailable as error:
                logger.warning("Prediction %s waits for the database: %s", prediction.id, error)
            await asyncio.sleep(RECORD_RETRY_SECONDS)

    async def _cancel(self, prediction_id: str) -> None:
        try:
            await self._provider.cancel(prediction_id)
        except ProviderError as error:
            logger.warning("Prediction %s was not cancelled: %s", prediction_id, error)

    async def _earlier_prediction(self, generation: Generation) -> Prediction | None:
        """The prediction of an earlier attempt, unless it failed.

        Raises JobFailed, code outputs_expired, if it was paid for and its image is gone.
        """
        if generation.prediction_id is None or Capability.GET not in self._provider.capabilities:
            return None
        try:
            prediction = await self._provider.get(generation.prediction_id)
        except ProviderError as error:
            if error.code == "prediction_not_found":
                raise outputs_expired(generation.prediction_id) from error
            raise
        if not prediction.finished or (prediction.status == "succeeded" and prediction.output):
            return prediction
        if prediction.status == "succeeded" and may_have_expired(prediction):
            raise outputs_expired(prediction.id)
        return None
