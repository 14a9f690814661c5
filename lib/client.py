"""The Python client for applications: start a generation, subscribe to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import httpx

from lib.subscription import (
    GenerationNotFound,
    GenerationUpdate,
    Subscription,
    SubscriptionError,
    SubscriptionRefused,
    SubscriptionTimeout,
)
from lib.subscription.database import database_session
from lib.subscription.following import Connect

__all__ = [
    "AccessToken",
    "GenerationNotFound",
    "GenerationUpdate",
    "StartRefused",
    "Started",
    "Subscription",
    "SubscriptionError",
    "SubscriptionRefused",
    "SubscriptionTimeout",
    "start_image_generation",
    "start_image_generation_async",
    "subscribe_to_generation",
]

TIMEOUT_SECONDS = 10.0
AccessToken = str | Callable[[], str]
"""A signed-in user's token, or a function that gives the current one: tokens expire."""


class StartRefused(Exception):
    """The generation was not started; the message says why.

    `code` names the reason, `field` the field at fault, if one is; `retry_after` is the wait in
    seconds after which the same request may succeed.
    """

    def __init__(
        self, message: str, *, code: str, field: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Started:
    """A generation that waits for a worker."""

    generation_id: UUID
    job_id: UUID


def start_image_generation(
    url: str,
    key: str,
    *,
    prompt: str,
    model_id: str,
    idempotency_key: str,
    access_token: str | None = None,
    test: bool = False,
    **parameters: Any,
) -> Started:
    """Puts a generation on the queue through the project's start-generation function.

    `url` is the Supabase project or the Darkroom app, `key` any key that it accepts, and
    `access_token` that of the signed-in user who asks. Repeating a call with the same idempotency
    key gives the first answer instead of a second generation. `parameters` go to the model: width,
    height, seed and whatever else it takes; None is left out. `test` marks an operator's test,
    which needs the secret key and counts for no limit. Raises StartRefused.
    """
    body = {"prompt": prompt, "model_id": model_id, "test": test or None, **parameters}
    with _answering(url), httpx.Client(timeout=TIMEOUT_SECONDS) as http:
        response = http.send(_request(url, key, access_token, idempotency_key, body))
    return _started(url, response)


async def start_image_generation_async(
    url: str,
    key: str,
    *,
    prompt: str,
    model_id: str,
    idempotency_key: str,
    access_token: str | None = None,
    test: bool = False,
    **parameters: Any,
) -> Started:
    """As `start_image_generation`, from an event loop."""
    body = {"prompt": prompt, "model_id": model_id, "test": test or None, **parameters}
    with _answering(url):
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
            response = await http.send(_request(url, key, access_token, idempotency_key, body))
    return _started(url, response)


def _request(
    url: str, key: str, access_token: str | None, idempotency_key: str, body: dict[str, Any]
) -> httpx.Request:
    headers = {"apikey": key, "Idempotency-Key": idempotency_key}
    if access_token:
        headers["Authorization"] = f"Bearer {access_token}"
    said = {name: value for name, value in body.items() if value is not None}
    address = f"{url.rstrip('/')}/functions/v1/start-generation"
    return httpx.Request("POST", address, json=said, headers=headers)


@contextmanager
def _answering(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StartRefused(
            f"start-generation at {url} does not answer ({type(error).__name__}).",
            code="unreachable",
        ) from error


def _started(url: str, response: httpx.Response) -> Started:
    try:
        answer = response.json()
        if response.is_success:
            return Started(UUID(answer["generation_id"]), UUID(answer["job_id"]))
        refusal = answer["error"]
        message, code = str(refusal["message"]), str(refusal["code"])
    except (ValueError, KeyError, TypeError) as error:
        # A gateway in between, or functions of another make.
        raise StartRefused(
            f"start-generation at {url} answered HTTP {response.status_code} in a form that is"
            " not Darkroom's.",
            code="unexpected_answer",
        ) from error
    retry_after = response.headers.get("Retry-After", "")
    raise StartRefused(
        message,
        code=code,
        field=refusal.get("field"),
        retry_after=int(retry_after) if retry_after.isdecimal() else None,
    )


def subscribe_to_generation(
    generation_id: UUID | str,
    *,
    database_url: str | None = None,
    supabase_url: str | None = None,
    supabase_key: str | None = None,
    access_token: AccessToken | None = None,
    timeout: float | None = None,
    read_seconds: float | None = None,
) -> Subscription:
    """The updates of a generation until its end: `async for` them, or `for` in a plain script.

    Give either `database_url`, of a role that may read image_generations, or `supabase_url` with
    `supabase_key`; beside a publishable key the `access_token` of the generation's user, since
    row-level security shows it to nobody else.

    A lost connection, a restarted database and one that is away at the start are waited out and
    logged. `timeout` in seconds is for the whole of a loop. The row is read at each sign of a
    change, and every `read_seconds` without one: by default 10, or 1 where signs cannot come.

    The loop raises GenerationNotFound, SubscriptionTimeout, and SubscriptionRefused when the
    project turns the key or the token down; this call ValueError for an id that is none, other
    than one way to follow it, or a wrong read_seconds.
    """
    id = UUID(str(generation_id))
    if read_seconds is not None and read_seconds <= 0:
        raise ValueError("read_seconds must be more than 0.")
    if database_url and not supabase_url:
        connect: Connect = partial(database_session, database_url, id)
    elif supabase_url and supabase_key and not database_url:
        # Not before it is needed: Supabase's client takes half a second to load.
        from lib.subscription.realtime import Project, realtime_session

        token = (
            access_token if callable(access_token) else partial(str, access_token or supabase_key)
        )
        project = Project(supabase_url.rstrip("/"), supabase_key, token)
        connect = partial(realtime_session, project, id)
    else:
        raise ValueError("Give database_url, or supabase_url and supabase_key.")
    return Subscription(id, connect, timeout=timeout, read_seconds=read_seconds)
