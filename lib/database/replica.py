"""A read replica of the database: used for reading, while it is as good as the database."""

import logging
import time

from lib.database import DatabaseUnavailable, Pool

logger = logging.getLogger(__name__)

CATCH_UP_SECONDS = 5.0
"""After a change of ours it may not show yet what was changed."""
AWAY_SECONDS = 10.0
"""How long it is left alone after it did not answer, since finding that out takes time."""


class Replica:
    """The connections to a replica, and whether to use them now."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._avoided_until = float("-inf")

    @property
    def usable(self) -> bool:
        """False for a while after a change and after it was away."""
        return time.monotonic() >= self._avoided_until

    def changed(self) -> None:
        """The database was just changed by who reads next."""
        self._avoid(CATCH_UP_SECONDS)

    def away(self, error: DatabaseUnavailable) -> None:
        """It did not answer."""
        logger.warning("The read replica does not answer, the database is read instead: %s", error)
        self._avoid(AWAY_SECONDS)

    def _avoid(self, seconds: float) -> None:
        self._avoided_until = max(self._avoided_until, time.monotonic() + seconds)
