"""NOTIFY as an async stream, and a connection that listens while it is used."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from lib.database.address import is_transaction_pooler
from lib.database.errors import translated
from lib.database.pool import AsyncConnection, connection_settings

T = TypeVar("T")


async def notifications(url: str, channel: str) -> AsyncIterator[str]:
    """The payloads of a channel's notifications as they come, on a connection of its own.

    An empty one comes first, once listening: whatever was sent before is to be looked for.
    Never ends; raises DatabaseUnavailable when the connection is lost, DatabaseError for a
    malformed URL.
    """
    settings = connection_settings(url, f"darkroom listening to {channel}")
    with translated():
        connection = await psycopg.AsyncConnection.connect(url, **settings)
        async with connection:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            yield ""
            async for notification in connection.notifies():
                yield notification.payload


class Listener:
    """A connection (autocommit, rows as dicts) that hears a channel while it is used.

    `hears` is False where the server cannot notify: then nothing comes.
    """

    def __init__(self, connection: AsyncConnection, *, hears: bool) -> None:
        self.connection = connection
        self.hears = hears

    async def ask(self, query: Awaitable[T]) -> T:
        """The answer to a query on the connection, which a cancellation ends at once.

        The driver would first ask the server to cancel, for ten seconds if that is silent.
        """
        asking = asyncio.ensure_future(query)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            await self.connection.close()
            asking.cancel()
            await asyncio.wait([asking])
            raise

    async def wait_for(self, payload: str, seconds: float) -> None:
        """Returns once the payload was notified, since the last wait or now, or after `seconds`."""
        deadline = time.monotonic() + seconds
        heard = False
        while not heard and (left := deadline - time.monotonic()) > 0:
            async for notification in self.connection.notifies(timeout=left, stop_after=1):
                heard = heard or notification.payload == payload


@asynccontextmanager
async def listening(url: str, channel: str) -> AsyncIterator[Listener]:
    """A listener on a connection of its own; whatever was notified before is to be looked for.

    Where the server cannot notify, behind a transaction pooler and on a standby, it only reads.
    Raises DatabaseUnavailable when there is no connection, also for what is done with it in the
    block, DatabaseError for a malformed URL.
    """
    settings = connection_settings(url, f"darkroom listening to {channel}")
    with translated():
        connection = await psycopg.AsyncConnection.connect(url, **settings, row_factory=dict_row)
        try:
            hears = not is_transaction_pooler(url)
            if hears:
                listen = sql.SQL("listen {}").format(sql.Identifier(channel))
                try:
                    await connection.execute(listen)
                except errors.ReadOnlySqlTransaction:  # a standby
                    hears = False
            yield Listener(connection, hears=hears)
        finally:
            await connection.close()
