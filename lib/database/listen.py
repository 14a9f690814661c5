"""NOTIFY as an async stream."""

from collections.abc import AsyncIterator

import psycopg
from psycopg import sql

from lib.database.errors import translated
from lib.database.pool import connection_settings


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
