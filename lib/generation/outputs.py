"""Fetch the images of a prediction that succeeded, and store them."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from lib.generation.prediction_calls import Generation, Intent, PredictionCalls
from lib.provider import Capability, Prediction, Provider, ProviderError
from lib.queue.worker_calls import Claim, JobFailed
from lib.storage import ImageRefused, NotAnImage, Outage, Storage, StorageFailed, StoredImage

logger = logging.getLogger(__name__)

OUTPUT_LIFETIME = timedelta(hours=1)
"""How long Replicate keeps outputs."""
RENEWAL_SECONDS = 1.0
"""Pause before a prediction is read again because the address of an image is refused."""
MIN_DOWNLOAD_SECONDS = 10.0
"""For a prediction that took almost all of the time: its images are paid for."""
LOST = frozenset({"image_not_found", "too_large", "not_an_image", "outputs_expired"})
"""Codes of errors after which an image is left out if there are others."""


class Outputs:
    """Fetches and stores images; `outage` says whether the storage takes any."""

    def __init__(self, calls: PredictionCalls, storage: Storage) -> None:
        self.outage = Outage(storage)
        self._calls = calls
        self._storage = storage

    async def store(
        self,
        claim: Claim,
        generation: Generation,
        intent: Intent,
        provider: Provider,
        prediction: Prediction,
        *,
        earlier: bool,
        until: float,
    ) -> Mapping[int, StoredImage]:
        """Store a prediction's images one after the other, but for those stored already.

        Fetches them until a time of the event loop's clock. `earlier` says that another attempt
        created the prediction: only then can its images have expired, whatever the clocks say.
        Returns the images by their place in the output, without any that can never be stored.
        Raises ProviderError and StorageError, and JobFailed with code outputs_expired, if there is
        none, or if the next attempt may store those that are missing; and ClaimLost.
        """
        removed = earlier and may_have_expired(prediction.created_at or intent.at)
        known = generation.intent is not None and generation.intent.id == intent.id
        stored = dict(generation.stored) if known else {}
        lost: list[Exception] = []
        unreachable: list[ProviderError] = []
        for index in range(len(prediction.images)):
            if index in stored:
                continue
            name = f"{generation.folder}/{index}"
            try:
                image = await self._store_one(name, provider, prediction, index, removed, until)
            except (ProviderError, JobFailed) as error:
                if error.code in LOST:
                    lost.append(error)
                elif isinstance(error, ProviderError) and error.code == "image_unreachable":
                    # The others must not wait for it.
                    unreachable.append(error)
                else:
                    raise
            except (NotAnImage, ImageRefused) as error:
                lost.append(error)
            else:
                stored[index] = image
                for path in await self._calls.record_output(claim, intent, index, image):
                    await asyncio.to_thread(self._storage.delete, path)
        if unreachable:
            raise unreachable[0]
        if not stored:
            raise lost[0]
        for reason in lost:
            logger.warning("An image of %s is left out: %s", prediction.id, reason)
        return stored

    async def _store_one(
        self,
        name: str,
        provider: Provider,
        prediction: Prediction,
        index: int,
        removed: bool,
        until: float,
    ) -> StoredImage:
        image = await _download(provider, prediction, index, removed, until)
        try:
            return await self._save(name, image)
        except NotAnImage as error:
            logger.info("Fetching image %d of %s again: %s", index, prediction.id, error)
        # A download may be cut off without an error.
        image = await _download(provider, prediction, index, removed, until)
        return await self._save(name, image)

    async def _save(self, name: str, image: bytes) -> StoredImage:
        try:
            return await self._storage.save(name, image)
        except StorageFailed as error:
            self.outage.failed(error, len(image))
            raise


def may_have_expired(created_at: datetime) -> bool:
    """Whether the provider may have removed the outputs of a prediction of that time."""
    return datetime.now(UTC) - created_at >= OUTPUT_LIFETIME


def outputs_expired(prediction_id: str) -> JobFailed:
    """The end of an attempt after which the next one pays for another prediction."""
    message = (
        f"The provider no longer has the image of prediction {prediction_id}, which an earlier"
        " attempt paid for. The next attempt pays for another."
    )
    logger.warning("%s", message)
    return JobFailed(message, code="outputs_expired")


async def _download(
    provider: Provider, prediction: Prediction, index: int, removed: bool, until: float
) -> bytes:
    try:
        return await _fetch(provider, prediction, index, until)
    except ProviderError as error:
        if error.code != "image_not_found":
            raise
        refusal = error
    if Capability.GET in provider.capabilities:
        await asyncio.sleep(RENEWAL_SECONDS)
        try:
            # Its addresses may have been renewed.
            renewed = await provider.get(prediction.id)
            if len(renewed.output) == len(prediction.output):
                return await _fetch(provider, renewed, index, until)
        except ProviderError as error:
            if error.code not in ("image_not_found", "prediction_not_found"):
                raise
            refusal = error
    if removed:
        raise outputs_expired(prediction.id) from refusal
    # Another prediction would be paid for, and most likely end the same.
    raise ProviderError(
        str(refusal), code="image_not_found", permanent=True, status=refusal.status
    ) from refusal


async def _fetch(provider: Provider, prediction: Prediction, index: int, until: float) -> bytes:
    left = until - asyncio.get_running_loop().time()
    return await provider.download(
        prediction.images[index], deadline=max(left, MIN_DOWNLOAD_SECONDS)
    )
