"""Background tasks that continue after an error."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from lib.database import AsyncPool, DatabaseError, DatabaseUnavailable, connected, load_async

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0


async def keep_running(
    name: str,
    run: Callable[[], Awaitable[None]],
    pool: AsyncPool,
    stopping: asyncio.Event | None = None,
) -> None:
    """Await `run()`, again whenever it raises, until it returns or `stopping` is set.

    Each error is logged and recorded for the alert rule background_errors, under `name`. The pause
    before the next try doubles up to LONGEST_PAUSE_SECONDS, and starts again at
    FIRST_PAUSE_SECONDS once `run` has gone on for that long.
    """
    pause = FIRST_PAUSE_SECONDS
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            return await run()
        except Exception as error:
            if loop.time() - began > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            logger.exception("The task %s failed; retrying in %.0f s", name, pause)
            await report_error(pool, name, error)
        if stopping is None:
            await asyncio.sleep(pause)
        elif await _happens(stopping, pause):
            return None
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def attempt(name: str, step: Awaitable[object], pool: AsyncPool) -> None:
    """Await a step once; log and record an error of it. Raises DatabaseUnavailable."""
    try:
        await step
    except DatabaseUnavailable:
        raise
    except Exception as error:
        logger.exception("The task %s failed", name)
        await report_error(pool, name, error)


async def report_error(pool: AsyncPool, task: str, error: Exception) -> None:
    """Record an error of a background task. A failure to do so is only logged."""
    try:
        async with connected(pool) as connection:
            await load_async("worker").report_background_error(
                connection, task=task, error=f"{type(error).__name__}: {error}"
            )
    except DatabaseUnavailable as reason:
        logger.warning("The error was not recorded: %s", reason)
    except DatabaseError:
        logger.exception("The error was not recorded")


async def cancel_and_wait(
    tasks: Collection[asyncio.Task[None]], *, retry_after: float = 1.0
) -> None:
    """Cancel tasks until they have ended.

    Once may not be enough: asyncio.wait_for, which the pool uses to wait for a connection, swallows
    a cancellation that coincides with its result (python/cpython#86296).
    """
    remaining = set(tasks)
    while remaining:
        for task in remaining:
            task.cancel()
        _, remaining = await asyncio.wait(remaining, timeout=retry_after)
