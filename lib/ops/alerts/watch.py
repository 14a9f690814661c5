"""Periodic evaluation of alert rules and delivery of notifications."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from lib.database import AsyncPool, DatabaseError, connected, load_async
from lib.ops.alerts.messages import Message, message

logger = logging.getLogger(__name__)

EVALUATE_SECONDS = 15.0
START_SECONDS = 3.0
"""Delay before the first evaluation: a starting worker claims jobs first."""


async def evaluate_and_notify(pool: AsyncPool) -> None:
    """Evaluate the rules, unless another process just did, and send pending notifications.

    Database errors are logged, not raised: the next evaluation sends whatever is still unsent.
    """
    sql = load_async("alert_watch")
    try:
        async with connected(pool) as connection:
            # Any one of the workers is enough.
            await sql.evaluate_alerts(connection, every_seconds=EVALUATE_SECONDS / 2)
            claimed = [row async for row in sql.claim_notifications(connection)]
        await _finish(asyncio.gather(*(_deliver(pool, notification) for notification in claimed)))
    except DatabaseError as error:
        # Database unreachable or channel just removed: must not stop the worker.
        logger.warning("Alerts were not evaluated: %s", error)


async def keep_evaluating_alerts(pool: AsyncPool) -> None:
    """Evaluate the rules periodically until cancelled."""
    await asyncio.sleep(min(START_SECONDS, EVALUATE_SECONDS))
    while True:
        await evaluate_and_notify(pool)
        await asyncio.sleep(EVALUATE_SECONDS)


async def _finish(deliveries: asyncio.Future[Any]) -> None:
    """Wait even if cancelled: a message sent but not settled would be sent again."""
    cancelled = False
    while not deliveries.done():
        try:
            await asyncio.wait([deliveries])
        except asyncio.CancelledError:
            cancelled = True
    error = deliveries.exception()
    if cancelled:
        raise asyncio.CancelledError
    if error:
        raise error


async def _deliver(pool: AsyncPool, notification: Mapping[str, Any]) -> None:
    error = await asyncio.to_thread(_send, notification["url"], message(notification))
    if error:
        logger.warning(
            "An alert was not delivered to channel %s: %s", notification["channel"], error
        )
    async with connected(pool) as connection:
        await load_async("alert_watch").settle_notification(
            connection, id=notification["id"], attempt=notification["attempt"], error=error
        )


def _send(url: str, message: Message) -> str | None:
    # Imported lazily: Apprise is large and would slow down every worker start.
    from lib.ops.alerts.channels import send

    return send(url, message)
