"""A generation in the database: LISTEN where it is possible, polling where not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from lib.database import DatabaseUnavailable, Listener, listening, load_async
from lib.subscription.following import Snapshot, SourceLost

queries = load_async("client")


class DatabaseSession:
    """One connection, both to listen and to read."""

    def __init__(self, listener: Listener, generation_id: UUID) -> None:
        self._listener = listener
        self._generation_id = generation_id

    @property
    def hears(self) -> bool:
        """False behind a transaction pooler and on a standby."""
        return self._listener.hears

    async def read(self) -> Snapshot | None:
        """The generation's row."""
        query = queries.generation(self._listener.connection, id=self._generation_id)
        row = await self._listener.ask(query)
        return None if row is None else Snapshot(**row)

    async def wait(self, seconds: float) -> None:
        """Returns when its id was notified, or after `seconds`."""
        if self.hears:
            await self._listener.wait_for(str(self._generation_id), seconds)
        else:
            await asyncio.sleep(seconds)


@asynccontextmanager
async def database_session(url: str, generation_id: UUID) -> AsyncIterator[DatabaseSession]:
    """A session on a connection of its own. Raises SourceLost, DatabaseError for a bad URL."""
    try:
        async with listening(url, "image_generations") as listener:
            yield DatabaseSession(listener, generation_id)
    except DatabaseUnavailable as error:
        raise SourceLost(str(error)) from error
