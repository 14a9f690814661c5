"""When and how long to wait before trying again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from lib.provider.contract import TRANSIENT, ProviderError

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 8.0

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

T = TypeVar("T")


async def persist(
    attempt: Callable[[], Awaitable[T]],
    *,
    worth_it: Callable[[ProviderError], bool],
    max_wait: float,
) -> T:
    """Attempts until success, an error that is not worth it, or `max_wait` seconds of waiting.

    Raises the last ProviderError, at once when the next wait would go beyond `max_wait`.
    """
    waited, tries = 0.0, 0
    while True:
        try:
            return await attempt()
        except ProviderError as error:
            wait = _wait(error, tries)
            if not worth_it(error) or waited + wait > max_wait:
                raise
        await asyncio.sleep(wait)
        waited += wait
        tries += 1


def transient(error: ProviderError) -> bool:
    """Whether the error passes by itself."""
    return error.code in TRANSIENT


def not_taken(error: ProviderError) -> bool:
    """Whether the request was not sent, or turned away because the provider is unavailable."""
    return error.status == 503 or isinstance(error.__cause__, _NOT_SENT)


def surely_not_done(error: ProviderError) -> bool:
    """Whether the request had no effect and may pass later: safe to repeat, whatever it asks."""
    return error.status == 429 or not_taken(error)


def _wait(error: ProviderError, tries: int) -> float:
    """Seconds: what the provider asks for with jitter on top, else exponential backoff."""
    backoff = min(FIRST_BACKOFF_SECONDS * 2**tries, LONGEST_BACKOFF_SECONDS)
    return (error.retry_after or backoff / 2) + random.uniform(0, backoff / 2)
