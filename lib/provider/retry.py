"""Retry failed requests with backoff, and how long a response asks to wait."""

import asyncio
import math
import random
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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


def retry_after(headers: httpx.Headers, detail: str = "") -> float | None:
    """The seconds that a response asks to wait, in its header or its text."""
    in_detail = re.search(r"resets in ~?(\d+(?:\.\d+)?)\s*s", detail)
    text = headers.get("retry-after") or (in_detail[1] if in_detail else "")
    try:
        seconds = float(text)
    except ValueError:
        moment = _moment(text)
        if moment is None:
            return None
        # Relative to the provider's clock if known: ours may differ.
        now = _moment(headers.get("date", "")) or datetime.now(UTC)
        seconds = (moment - now).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _wait(error: ProviderError, retries: int) -> float:
    """Seconds to wait: the provider's retry_after or exponential backoff, plus jitter."""
    backoff = min(MIN_BACKOFF_SECONDS * 2**retries, MAX_BACKOFF_SECONDS)
    return (error.retry_after or backoff / 2) + random.uniform(0, backoff / 2)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date with "-0000" means UTC but is parsed as naive.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
