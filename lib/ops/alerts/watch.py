"""Evaluates the rules now and then, and tells who is to be told."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from lib.database import AsyncPool, DatabaseError, connected, load_async
from lib.ops.alerts.messages import Message, message

logger = logging.getLogger(__name__)

EVALUATE_SECONDS = 15.0
START_SECONDS = 3.0
"""A worker's first seconds belong to the jobs that wait for it."""


async def watch_alerts(pool: AsyncPool) -> None:
    """Evaluates the rules, unless somebody else just has, and sends what is due.

    What the database does not do is logged: the next one to watch sends what this one would have.
    """
    sql = load_async("alert_watch")
    try:
        async with connected(pool) as connection:
            # Of many workers any one does it.
            await sql.evaluate_alerts(connection, every_seconds=EVALUATE_SECONDS / 2)
            claimed = [row async for row in sql.claim_notifications(connection)]
        await _to_the_end(asyncio.gather(*(_tell(pool, told) for told in claimed)))
    except DatabaseError as error:
        # Away, or a channel was removed at this moment: no reason to end a worker.
        logger.warning("Alerts were not evaluated: %s", error)


async def keep_watch(pool: AsyncPool) -> None:
    """Watches the alerts until cancelled."""
    await asyncio.sleep(min(START_SECONDS, EVALUATE_SECONDS))
    while True:
        await watch_alerts(pool)
        await asyncio.sleep(EVALUATE_SECONDS)


async def _to_the_end(telling: asyncio.Future[Any]) -> None:
    """Waits however often it is cancelled: what was sent, but not noted, would be sent again."""
    cancelled = False
    while not telling.done():
        try:
            await asyncio.wait([telling])
        except asyncio.CancelledError:
            cancelled = True
    error = telling.exception()
    if cancelled:
        raise asyncio.CancelledError
    if error:
        raise error


async def _tell(pool: AsyncPool, told: Mapping[str, Any]) -> None:
    error = await asyncio.to_thread(_send, told["url"], message(told))
    if error:
        logger.warning("An alert was not delivered to channel %s: %s", told["channel"], error)
    async with connected(pool) as connection:
        await load_async("alert_watch").settle_notification(
            connection, id=told["id"], attempt=told["attempt"], error=error
        )


def _send(url: str, message: Message) -> str | None:
    # Apprise is large, and a worker that has nothing to tell starts sooner without it.
    from lib.ops.alerts.channels import send

    return send(url, message)
