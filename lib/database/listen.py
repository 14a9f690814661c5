"""LISTEN/NOTIFY: notifications as an async stream, and a connection that also listens."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from lib.database.errors import translated
from lib.database.pool import AsyncConnection, connection_settings, is_shared, prepare_async

T = TypeVar("T")


async def notifications(url: str, channel: str) -> AsyncIterator[str]:
    """Yield the payloads of a channel's notifications, on a dedicated connection.

    The first payload is empty and means that listening has begun: check for earlier changes
    then. Behind a transaction pooler no other comes. Never ends; raises DatabaseUnavailable if the
    connection is lost, DatabaseError for a malformed URL.
    """
    settings = connection_settings(url, f"darkroom listening to {channel}")
    with translated():
        connection = await psycopg.AsyncConnection.connect(url, **settings, row_factory=dict_row)
        async with connection:
            await prepare_async(connection, url)
            if is_shared(connection):
                await connection.close()
                yield ""
                await asyncio.Event().wait()
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            yield ""
            async for notification in connection.notifies():
                yield notification.payload


class Listener:
    """A connection (autocommit, rows as dicts) that also listens to a channel.

    `hears` is False if the server cannot deliver notifications.
    """

    def __init__(self, connection: AsyncConnection, *, hears: bool) -> None:
        self.connection = connection
        self.hears = hears

    async def ask(self, query: Awaitable[T]) -> T:
        """Await a query on the connection; a cancellation closes the connection immediately.

        The driver would first ask the server to cancel, for up to ten seconds if it is silent.
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
        """Return once `payload` arrives or has arrived since the last wait, or after `seconds`."""
        deadline = time.monotonic() + seconds
        heard = False
        while not heard and (left := deadline - time.monotonic()) > 0:
            async for notification in self.connection.notifies(timeout=left, stop_after=1):
                heard = heard or notification.payload == payload


@asynccontextmanager
async def listening(url: str, channel: str) -> AsyncIterator[Listener]:
    """Open a listener on a dedicated connection; check for earlier changes once it is open.

    Behind a transaction pooler and on a standby notifications cannot arrive: then it only reads.
    Raises DatabaseUnavailable if the connection cannot be opened or is lost in the block,
    DatabaseError for a malformed URL.
    """
    settings = connection_settings(url, f"darkroom listening to {channel}")
    with translated():
        connection = await psycopg.AsyncConnection.connect(url, **settings, row_factory=dict_row)
        try:
            await prepare_async(connection, url)
            hears = not is_shared(connection)
            if hears:
                listen = sql.SQL("listen {}").format(sql.Identifier(channel))
                try:
                    await connection.execute(listen)
                except errors.ReadOnlySqlTransaction:  # a standby
                    hears = False
            yield Listener(connection, hears=hears)
        finally:
            await connection.close()
