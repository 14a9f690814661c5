"""Follow a generation in a Supabase project: Realtime notifies, PostgREST returns the row."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from realtime import (
    NotConnectedError,
    RealtimePostgresChangesListenEvent,
    RealtimeSubscribeStates,
)
from websockets.exceptions import WebSocketException

from supabase import AsyncClient, AsyncClientOptions, PostgrestAPIError, create_async_client

from .http import UnusableProxy, open_client
from .subscription import (
    READ_TIMEOUT_SECONDS,
    ConnectionLost,
    Snapshot,
    SubscriptionRefused,
    backoff,
)

logger = logging.getLogger(__name__)

TABLE = "image_generations"
COLUMNS = (
    "status", "progress", "image_url", "error_message", "started_at", "error_code", "application",
    "metadata", "images",
)  # fmt: skip
"""The last one is computed by a function of the database."""
CLOSE_TIMEOUT_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
"""Longest delay between attempts to subscribe; the row is polled meanwhile."""
RETRYABLE_STATUSES = (408, 425, 429)
"""Client errors (4xx) that may still succeed later."""


@dataclass(frozen=True, slots=True)
class Project:
    """A Supabase project with an API key; `token` returns the user's current token."""

    url: str
    key: str = field(repr=False)
    token: Callable[[], str] = field(repr=False)

    async def client(self, http: httpx.AsyncClient) -> AsyncClient:
        """Create a client that leaves retries to the caller."""
        options = AsyncClientOptions(
            httpx_client=http,
            auto_refresh_token=False,
            persist_session=False,
            postgrest_client_retry=False,
            realtime={"auto_reconnect": False},
        )
        client = await create_async_client(self.url, self.key, options)
        await client.realtime.set_auth(self.token())
        return client


class RealtimeSession:
    """Reads the row over HTTP and is notified of changes while its websocket is connected."""

    def __init__(self, project: Project, http: httpx.AsyncClient, generation_id: UUID) -> None:
        self.notified = False
        self._project = project
        self._http = http
        self._generation_id = generation_id
        self._changed = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())
        self._listening.add_done_callback(self._wake)
        self._reader: AsyncClient | None = None

    async def read(self) -> Snapshot | None:
        """The generation's row, if the token may see it. Raises SubscriptionRefused."""
        if self._reader is None:
            self._reader = await self._project.client(self._http)
        # Before the read: a change notified meanwhile may be newer than the result.
        self._changed.clear()
        table = self._reader.postgrest.auth(self._project.token()).from_(TABLE)
        answer = await table.select(*COLUMNS).eq("id", str(self._generation_id)).execute()
        rows: Any = answer.data
        if not isinstance(rows, list):
            raise SubscriptionRefused(
                f"{self._project.url} does not respond like a Supabase project. Use the URL of a"
                " project, or follow the generation with a database URL."
            )
        return Snapshot(**rows[0]) if rows else None

    async def wait(self, seconds: float) -> None:
        """Return on a notification, when the websocket connects or drops, or after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        if self._listening.done():
            self._listening.result()

    async def close(self) -> None:
        """Close the websocket; if the peer is silent, closing continues in the background."""
        self._listening.cancel()
        await asyncio.wait([self._listening], timeout=CLOSE_TIMEOUT_SECONDS)

    def _wake(self, *_event: object) -> None:
        self._changed.set()

    async def _listen(self) -> None:
        """Resubscribe whenever the websocket or the channel is lost."""
        delays = backoff(MAX_BACKOFF_SECONDS)
        while True:
            try:
                reason = await self._subscribe_until_lost()
            # ImportError: websockets lacks the package for a SOCKS proxy, so the row is polled.
            except (WebSocketException, NotConnectedError, OSError, ImportError) as error:
                reason = f"{type(error).__name__}: {error}"
            if self.notified:
                delays = backoff(MAX_BACKOFF_SECONDS)
            self.notified = False
            self._wake()
            logger.warning("Realtime at %s is unreachable (%s)", self._project.url, reason)
            await asyncio.sleep(next(delays))

    async def _subscribe_until_lost(self) -> str:
        """Listen until the subscription is refused or lost; return the reason."""
        client = await self._project.client(self._http)
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def state_changed(state: RealtimeSubscribeStates, error: Exception | None) -> None:
            if state == RealtimeSubscribeStates.SUBSCRIBED:
                self.notified = True
            elif not lost.done():
                lost.set_result(f"{state.value} {error or ''}".strip())

        channel = client.channel(f"{TABLE}:{self._generation_id}")
        channel.on_postgres_changes(
            RealtimePostgresChangesListenEvent.Update,
            self._wake,
            table=TABLE,
            schema="public",
            filter=f"id=eq.{self._generation_id}",
        )
        # Realtime confirms a subscription before it watches the table, then sends a system message.
        channel.on_system(self._wake)
        try:
            await channel.subscribe(state_changed)
            return await lost
        finally:
            # Otherwise their timers stay in the caller's event loop for some seconds.
            channel.rejoin_timer.reset()
            channel.join_push.destroy()
            await client.realtime.close()


@asynccontextmanager
async def realtime_session(project: Project, generation_id: UUID) -> AsyncIterator[RealtimeSession]:
    """Open a session with its own websocket and HTTP connections.

    Raises ConnectionLost if the project is unreachable, SubscriptionRefused if it refuses.
    """
    try:
        async with open_client(
            httpx.AsyncClient,
            timeout=READ_TIMEOUT_SECONDS,
            event_hooks={"response": [_raise_if_refused]},
        ) as http:
            session = RealtimeSession(project, http, generation_id)
            try:
                yield session
            finally:
                await session.close()
    except UnusableProxy as error:
        raise SubscriptionRefused(str(error)) from error
    except httpx.HTTPError as error:
        raise ConnectionLost(f"{project.url} does not respond ({type(error).__name__}).") from error
    except PostgrestAPIError as error:
        raise ConnectionLost(
            f"{project.url} is temporarily unavailable: {error.message}"
        ) from error


async def _raise_if_refused(response: httpx.Response) -> None:
    """Raise SubscriptionRefused for a response that retries would not change."""
    if response.is_client_error and response.status_code not in RETRYABLE_STATUSES:
        await response.aread()
        raise SubscriptionRefused(
            f"{response.url.host} rejected the request for the generation: HTTP"
            f" {response.status_code}"
            f" {response.text[:200]}"
        )
