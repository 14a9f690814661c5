"""A generation in a Supabase project: Realtime tells of changes, PostgREST gives the row."""

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

from .subscription import (
    ANSWER_SECONDS,
    Snapshot,
    SourceLost,
    SubscriptionRefused,
    backoff,
)

logger = logging.getLogger(__name__)

TABLE = "image_generations"
COLUMNS = ("status", "progress", "image_url", "error_message", "started_at")
CLOSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
"""Between attempts to subscribe; the row is polled meanwhile."""
PASSING = (408, 425, 429)
"""What a client is at fault for, and may still succeed later."""


@dataclass(frozen=True, slots=True)
class Project:
    """A Supabase project: a key of it, and the token of this moment on whose behalf to ask."""

    url: str
    key: str = field(repr=False)
    token: Callable[[], str] = field(repr=False)

    async def client(self, http: httpx.AsyncClient) -> AsyncClient:
        """A client that leaves trying again to its caller."""
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
    """Reads the row by HTTP, and is told of changes while its websocket lives."""

    def __init__(self, project: Project, http: httpx.AsyncClient, generation_id: UUID) -> None:
        self.hears = False
        self._project = project
        self._http = http
        self._generation_id = generation_id
        self._changed = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())
        self._listening.add_done_callback(self._note)
        self._reader: AsyncClient | None = None

    async def read(self) -> Snapshot | None:
        """The generation's row, as far as the token may see it. Raises SubscriptionRefused."""
        if self._reader is None:
            self._reader = await self._project.client(self._http)
        # Before the read: what is told meanwhile may be newer than what it gives.
        self._changed.clear()
        table = self._reader.postgrest.auth(self._project.token()).from_(TABLE)
        answer = await table.select(*COLUMNS).eq("id", str(self._generation_id)).execute()
        rows: Any = answer.data
        if not isinstance(rows, list):
            raise SubscriptionRefused(
                f"{self._project.url} does not answer as a Supabase project: give its URL, or"
                " follow the generation by a database URL."
            )
        return Snapshot(**rows[0]) if rows else None

    async def wait(self, seconds: float) -> None:
        """Returns when a change was told, the websocket came or went, or after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        if self._listening.done():
            self._listening.result()

    async def close(self) -> None:
        """Closes the websocket; one whose other end is silent goes on closing for some seconds."""
        self._listening.cancel()
        await asyncio.wait([self._listening], timeout=CLOSE_SECONDS)

    def _note(self, *_told: object) -> None:
        self._changed.set()

    async def _listen(self) -> None:
        """Subscribes again whenever the websocket or the channel is lost."""
        pauses = backoff(LONGEST_PAUSE_SECONDS)
        while True:
            try:
                reason = await self._subscribed()
            except (WebSocketException, NotConnectedError, OSError) as error:
                reason = f"{type(error).__name__}: {error}"
            if self.hears:
                pauses = backoff(LONGEST_PAUSE_SECONDS)
            self.hears = False
            self._note()
            logger.warning("Realtime at %s is away (%s)", self._project.url, reason)
            await asyncio.sleep(next(pauses))

    async def _subscribed(self) -> str:
        """Listens until the subscription is refused or lost; returns why."""
        client = await self._project.client(self._http)
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def state_changed(state: RealtimeSubscribeStates, error: Exception | None) -> None:
            if state == RealtimeSubscribeStates.SUBSCRIBED:
                self.hears = True
            elif not lost.done():
                lost.set_result(f"{state.value} {error or ''}".strip())

        channel = client.channel(f"{TABLE}:{self._generation_id}")
        channel.on_postgres_changes(
            RealtimePostgresChangesListenEvent.Update,
            self._note,
            table=TABLE,
            schema="public",
            filter=f"id=eq.{self._generation_id}",
        )
        # Realtime answers a subscription before it follows the table, and says so once it does.
        channel.on_system(self._note)
        try:
            await channel.subscribe(state_changed)
            return await lost
        finally:
            # Else their timers live on in the caller's event loop for some seconds.
            channel.rejoin_timer.reset()
            channel.join_push.destroy()
            await client.realtime.close()


@asynccontextmanager
async def realtime_session(project: Project, generation_id: UUID) -> AsyncIterator[RealtimeSession]:
    """A session with a websocket and HTTP connections of its own.

    Raises SourceLost when the project does not answer, SubscriptionRefused when it refuses.
    """
    try:
        async with httpx.AsyncClient(
            timeout=ANSWER_SECONDS, event_hooks={"response": [_refuse]}
        ) as http:
            session = RealtimeSession(project, http, generation_id)
            try:
                yield session
            finally:
                await session.close()
    except httpx.HTTPError as error:
        raise SourceLost(f"{project.url} does not answer ({type(error).__name__}).") from error
    except PostgrestAPIError as error:
        raise SourceLost(f"{project.url} cannot answer now: {error.message}") from error


async def _refuse(response: httpx.Response) -> None:
    """Raises SubscriptionRefused for an answer that stays the same however often one asks."""
    if response.is_client_error and response.status_code not in PASSING:
        await response.aread()
        raise SubscriptionRefused(
            f"{response.url.host} refuses to show the generation: HTTP {response.status_code}"
            f" {response.text[:200]}"
        )
