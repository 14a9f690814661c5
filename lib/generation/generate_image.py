"""Run one image generation: get its prediction, follow it, store its images."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lib.generation.inputs import InputFiles
from lib.generation.outputs import Outputs
from lib.generation.prediction_calls import Generation, Intent, PredictionCalls
from lib.generation.predictions import Predictions, creation_unknown
from lib.generation.prompt_check import PromptCheck
from lib.provider import Capability, Prediction, ProviderError, Providers
from lib.queue.worker_calls import Claim, JobFailed, Queue
from lib.storage import (
    ImageRefused,
    NotAnImage,
    Storage,
    StorageError,
    StorageFailed,
    StoredImage,
)

logger = logging.getLogger(__name__)

# Progress shown to the user: the prediction covers the range between these.
CREATED_PERCENT, PREDICTED_PERCENT = 5, 95


class GenerationHandler:
    """Handler for generate-image jobs."""

    def __init__(
        self,
        queue: Queue,
        providers: Providers,
        storage: Storage,
        *,
        deadline_seconds: float,
        prompt_check: PromptCheck | None = None,
    ) -> None:
        self._queue = queue
        self._calls = PredictionCalls(queue.pool, deadline_seconds=deadline_seconds)
        self._check = prompt_check
        self._files = InputFiles(queue.pool, storage)
        self._providers = providers
        self._outputs = Outputs(self._calls, storage)
        self.outage = self._outputs.outage

    async def __call__(self, claim: Claim) -> Mapping[str, Any]:
        """Run a claim's generation and return the URL and paths of its first image.

        With a notice for the user if it has fewer images than were asked for. Raises JobFailed
        with the provider's reason, or ClaimLost.
        """
        if self.outage.reason:
            # Claimed before the storage failed: do not pay for what cannot be stored.
            raise JobFailed(self.outage.reason, code=StorageFailed.code)
        began = asyncio.get_running_loop().time()
        generation = await self._calls.begin(claim)
        if generation.intent is None:
            return {}
        if generation.outputs_made and len(generation.stored) == generation.outputs_made:
            # An earlier attempt was killed after the last one.
            return await self._result(
                generation, generation.intent, generation.stored, generation.outputs_made
            )
        try:
            provider = self._providers.client(
                generation.intent.provider, generation.intent.provider_url
            )
            predictions = Predictions(self._calls, provider, self._files, self._check)
            intent, prediction, began = await predictions.get(claim, generation.intent, began)
            earlier = prediction.id == generation.intent.provider_id
            if not prediction.finished:
                prediction = await self._follow(claim, intent, predictions, prediction, began)
            progress = PREDICTED_PERCENT if prediction.output else 0
            await self._calls.end(claim, intent, prediction, progress=progress)
            stored = await self._outputs.store(
                claim,
                generation,
                intent,
                provider,
                prediction,
                earlier=earlier,
                until=began + intent.deadline_seconds,
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
        return await self._result(generation, intent, stored, len(prediction.images))

    async def _result(
        self,
        generation: Generation,
        intent: Intent,
        stored: Mapping[int, StoredImage],
        made: int,
    ) -> Mapping[str, Any]:
        first = stored[min(stored)]
        result = {
            "image_url": first.url,
            "storage_path": first.path,
            "thumbnail_path": first.thumbnail_path,
        }
        if len(stored) < max(generation.images_asked, made):
            result["notice"] = await self._calls.missing_images_notice(intent, len(stored))
        return result

    async def cancel(self, claim: Claim) -> None:
        """Cancel the predictions of a cancelled job."""
        for prediction_id, name, url in await self._calls.unwanted(claim):
            try:
                await self._providers.client(name, url).cancel(prediction_id)
            except ProviderError as error:
                logger.warning("Prediction %s was not cancelled: %s", prediction_id, error)
                await self._calls.note_uncancelled(name, prediction_id)

    async def _follow(
        self,
        claim: Claim,
        intent: Intent,
        predictions: Predictions,
        prediction: Prediction,
        began: float,
    ) -> Prediction:
        try:
            async for prediction in predictions.provider.follow(  # noqa: B020
                prediction,
                deadline=intent.deadline_seconds,
                since=began,
                # Of a worker that was stopped for a while, another may follow the same prediction.
                may_cancel=lambda: self._calls.is_held(claim),
            ):
                if prediction.progress is not None:
                    span = PREDICTED_PERCENT - CREATED_PERCENT
                    percent = CREATED_PERCENT + prediction.progress * span // 100
                    await self._queue.record_progress(claim, percent)
        except ProviderError as error:
            if error.code == "deadline_exceeded":
                ended = replace(prediction, status="canceled", error=str(error))
                await self._calls.end(claim, intent, ended, progress=0)
            if error.no_effect and Capability.GET not in predictions.provider.capabilities:
                # The refusal of its creation, which came late.
                await predictions.take_back(claim, intent)
            if error.code == "prediction_not_found":
                raise creation_unknown() from error
            raise
        return prediction
