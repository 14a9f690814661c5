"""A read replica, used for reading while it is reachable and current."""

import logging
import time

from lib.database import DatabaseUnavailable, Pool

logger = logging.getLogger(__name__)

CATCH_UP_SECONDS = 5.0
"""How long after a change of ours the replica may still return old data."""
FAILURE_SECONDS = 10.0
"""How long it is avoided after a failure, since each timeout takes time."""


class Replica:
    """The connection pool of a replica, and whether to use it now."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._avoided_until = float("-inf")

    @property
    def usable(self) -> bool:
        """False for a while after a change and after a failure."""
        return time.monotonic() >= self._avoided_until

    def changed(self) -> None:
        """Note a change by the caller, who must not read old data next."""
        self._avoid(CATCH_UP_SECONDS)

    def note_failure(self, error: DatabaseUnavailable) -> None:
        """Note that the replica is unreachable."""
        logger.warning("The read replica is unreachable, reading from the primary: %s", error)
        self._avoid(FAILURE_SECONDS)

    def _avoid(self, seconds: float) -> None:
        self._avoided_until = max(self._avoided_until, time.monotonic() + seconds)
