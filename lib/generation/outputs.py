"""Fetch the image of a prediction that succeeded, and store it."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lib.provider import Capability, Prediction, Provider, ProviderError
from lib.queue.worker_calls import JobFailed
from lib.storage import NotAnImage, Outage, Storage, StorageFailed, StoredImage

logger = logging.getLogger(__name__)

OUTPUT_LIFETIME = timedelta(hours=1)
"""How long Replicate keeps outputs."""
RENEWAL_SECONDS = 1.0
"""Pause before a prediction is read again because the address of its image is refused."""
MIN_DOWNLOAD_SECONDS = 10.0
"""For a prediction that took almost all of the time: its image is paid for."""


class Outputs:
    """Fetches and stores images; `outage` says whether the storage takes any."""

    def __init__(self, provider: Provider, storage: Storage) -> None:
        self.outage = Outage(storage)
        self._provider = provider
        self._storage = storage

    async def store(
        self, generation_id: UUID, prediction: Prediction, *, earlier: bool, until: float
    ) -> StoredImage:
        """Store a prediction's image, fetching it until a time of the event loop's clock.

        `earlier` says that another attempt created the prediction: only then can its image have
        expired, whatever the clocks say. Raises ProviderError, StorageError, or JobFailed with
        code outputs_expired.
        """
        image = await self._download(prediction, earlier, until)
        try:
            return await self._save(generation_id, image)
        except NotAnImage as error:
            logger.info("Fetching the image of %s again: %s", prediction.id, error)
        # A download may be cut off without an error.
        image = await self._download(prediction, earlier, until)
        return await self._save(generation_id, image)

    async def _save(self, generation_id: UUID, image: bytes) -> StoredImage:
        try:
            return await self._storage.save(generation_id, image)
        except StorageFailed as error:
            self.outage.failed(error, len(image))
            raise

    async def _download(self, prediction: Prediction, earlier: bool, until: float) -> bytes:
        try:
            return await self._fetch(prediction, until)
        except ProviderError as error:
            if error.code != "image_not_found":
                raise
            refusal = error
        if Capability.GET in self._provider.capabilities:
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                # Its addresses may have been renewed.
                renewed = await self._provider.get(prediction.id)
                if renewed.output:
                    return await self._fetch(renewed, until)
            except ProviderError as error:
                if error.code not in ("image_not_found", "prediction_not_found"):
                    raise
                refusal = error
        if earlier and may_have_expired(prediction):
            raise outputs_expired(prediction.id) from refusal
        # Another prediction would be paid for, and most likely end the same.
        raise ProviderError(
            str(refusal), code="image_not_found", permanent=True, status=refusal.status
        ) from refusal

    async def _fetch(self, prediction: Prediction, until: float) -> bytes:
        left = until - asyncio.get_running_loop().time()
        return await self._provider.download(
            prediction.image, deadline=max(left, MIN_DOWNLOAD_SECONDS)
        )


def may_have_expired(prediction: Prediction) -> bool:
    """Whether the provider may have removed the outputs of an earlier attempt's prediction."""
    created_at = prediction.created_at
    return created_at is None or datetime.now(UTC) - created_at >= OUTPUT_LIFETIME


def outputs_expired(prediction_id: str) -> JobFailed:
    """The end of an attempt after which the next one pays for another prediction."""
    message = (
        f"The provider no longer has the image of prediction {prediction_id}, which an earlier"
        " attempt paid for. The next attempt pays for another."
    )
    logger.warning("%s", message)
    return JobFailed(message, code="outputs_expired")
