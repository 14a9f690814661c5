"""Retry failed requests with backoff."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from lib.provider.contract import TRANSIENT, ProviderError

MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 8.0

NOT_SENT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors after which no request has left."""

T = TypeVar("T")


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    retryable: Callable[[ProviderError], bool],
    max_wait: float,
) -> T:
    """Call `attempt` until it succeeds, waiting at most `max_wait` seconds in total.

    Raises a ProviderError that is not retryable, and the last one immediately if the next wait
    would exceed `max_wait`.
    """
    waited, retries = 0.0, 0
    while True:
        try:
            return await attempt()
        except ProviderError as error:
            wait = _wait(error, retries)
            if not retryable(error) or waited + wait > max_wait:
                raise
        await asyncio.sleep(wait)
        waited += wait
        retries += 1


def transient(error: ProviderError) -> bool:
    """Whether the error resolves by itself."""
    return error.code in TRANSIENT


def not_accepted(error: ProviderError) -> bool:
    """Whether the request was not sent, or rejected because the provider is unavailable."""
    return error.status == 503 or isinstance(error.__cause__, NOT_SENT_ERRORS)


def safe_to_resend(error: ProviderError) -> bool:
    """Whether the request had no effect, so that even a non-idempotent one may be resent."""
    return error.status == 429 or not_accepted(error)


def _wait(error: ProviderError, retries: int) -> float:
    """Seconds to wait: the provider's retry_after or exponential backoff, plus jitter."""
    backoff = min(MIN_BACKOFF_SECONDS * 2**retries, MAX_BACKOFF_SECONDS)
    return (error.retry_after or backoff / 2) + random.uniform(0, backoff / 2)
