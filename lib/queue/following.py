"""Follow a generation over a database connection: LISTEN if possible, else polling.

For processes with direct database access; applications use lib.client.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

from lib.client.subscription import ConnectionLost, Snapshot, Subscription
from lib.database import DatabaseUnavailable, Listener, listening, load_async

queries = load_async("following")


def follow_generation(
    generation_id: UUID | str,
    *,
    database_url: str,
    timeout: float | None = None,
    read_seconds: float | None = None,
) -> Subscription:
    """The updates of a generation, as client.subscribe_to_generation yields them.

    The role of `database_url` must be allowed to read image_generations. `timeout` in seconds
    covers the whole loop. The row is read on each notification and every `read_seconds` without
    one: by default 10, or 1 where notifications cannot arrive. The loop raises GenerationNotFound
    and SubscriptionTimeout; this call raises ValueError for a malformed ID or a `read_seconds`
    that is not positive.
    """
    id = UUID(str(generation_id))
    connect = partial(database_session, database_url, id)
    return Subscription(id, connect, timeout=timeout, read_seconds=read_seconds)


class DatabaseSession:
    """One connection for both listening and reading."""

    def __init__(self, listener: Listener, generation_id: UUID) -> None:
        self._listener = listener
        self._generation_id = generation_id

    @property
    def notified(self) -> bool:
        """False behind a transaction pooler and on a standby."""
        return self._listener.hears

    async def read(self) -> Snapshot | None:
        """The generation's row."""
        query = queries.generation(self._listener.connection, id=self._generation_id)
        row = await self._listener.ask(query)
        return None if row is None else Snapshot(**row)

    async def wait(self, seconds: float) -> None:
        """Return when a notification names the generation, or after `seconds`."""
        if self.notified:
            await self._listener.wait_for(str(self._generation_id), seconds)
        else:
            await asyncio.sleep(seconds)


@asynccontextmanager
async def database_session(url: str, generation_id: UUID) -> AsyncIterator[DatabaseSession]:
    """Open a session. Raises ConnectionLost, and DatabaseError for a malformed URL."""
    try:
        async with listening(url, "image_generations") as listener:
            yield DatabaseSession(listener, generation_id)
    except DatabaseUnavailable as error:
        raise ConnectionLost(str(error)) from error
