"""A storage outage: from the first image that was not stored until one is stored again."""

import asyncio
import logging
import time

from lib.storage.contract import Storage, StorageFailed

logger = logging.getLogger(__name__)

FIRST_PROBE_SECONDS, MAX_PROBE_SECONDS = 1.0, 30.0


class Outage:
    """Whether a storage takes images, by the failures that `failed` is told of.

    After one the storage is probed in the background, with as many bytes as it did not take, until
    it takes them.
    """

    def __init__(self, storage: Storage) -> None:
        self.reason: str | None = None
        """Why the storage takes no images now; None if it does."""
        self._storage = storage
        self._since = 0.0
        self._size = 0
        self._probing: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        """How long the outage has lasted."""
        return time.monotonic() - self._since

    def failed(self, error: StorageFailed, size: int) -> None:
        """Note that an image of `size` bytes was not stored."""
        if self.reason is None:
            self._since, self._size = time.monotonic(), 0
            self._probing = asyncio.create_task(self._probe_until_over())
        self.reason = str(error)
        self._size = max(self._size, size)

    async def _probe_until_over(self) -> None:
        delay = FIRST_PROBE_SECONDS
        while True:
            await asyncio.sleep(delay)
            delay = min(2 * delay, MAX_PROBE_SECONDS)
            try:
                await self._storage.probe(self._size)
            except StorageFailed as error:
                self.reason = str(error)
            except Exception:
                # Whatever the error, an outage must not last because the probing stopped.
                logger.exception("The storage cannot be probed")
            else:
                logger.warning("The storage accepts images again, after %.0f s", self.seconds)
                self.reason = None
                return
