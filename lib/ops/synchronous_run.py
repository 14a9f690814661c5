"""A prediction inside a request: created, followed, and cancelled with the request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from lib.provider import CANCEL_MARGIN_SECONDS, Prediction, Provider, ProviderError

logger = logging.getLogger(__name__)

CREATE_SECONDS = 10.0
"""How long a cancelled request waits for the id of the prediction it just created."""


class SynchronousRun:
    """One run of a model, for the row of predictions `intent`.

    `sent`: whether the request may have started anything. `prediction`: its last known state, None
    until it is created; `record` stores it then.
    """

    def __init__(
        self,
        provider: Provider,
        deadline_seconds: float,
        intent: UUID,
        record: Callable[["SynchronousRun", Prediction], Awaitable[None]],
    ) -> None:
        self.intent = intent
        self.sent = False
        self.prediction: Prediction | None = None
        self._provider = provider
        self._deadline_seconds = deadline_seconds
        self._record = record

    async def images(
        self, model_id: str, input: Mapping[str, Any], version: str | None
    ) -> Sequence[str]:
        """Run the model to completion and return the URLs of its images. Raises ProviderError."""
        creating = asyncio.create_task(self._create(model_id, input, version))
        try:
            prediction = await asyncio.shield(creating)
            following = self._provider.follow(prediction, deadline=self._deadline_seconds)
            async for state in following:
                self.prediction = prediction = state
        except ProviderError as error:
            if error.code == "deadline_exceeded" and self.prediction:
                self.prediction = replace(self.prediction, status="canceled", error=str(error))
            raise
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
        self.sent = True
        try:
            prediction = await self._provider.create(
                model_id,
                input,
                version=version,
                cancel_after=self._deadline_seconds + CANCEL_MARGIN_SECONDS,
            )
        except ProviderError as error:
            self.sent = not error.no_effect
            raise
        self.prediction = prediction
        await self._record(self, prediction)
        return prediction

    async def _cancel(self) -> None:
        if self.prediction is None:
            return
        try:
            self.prediction = await self._provider.cancel(self.prediction.id)
        except ProviderError as error:
            logger.warning("Prediction %s was not cancelled: %s", self.prediction.id, error)
