"""Subscriptions: a stream of updates that survives lost connections."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

logger = logging.getLogger(__name__)

FINAL = ("completed", "failed", "cancelled")
POLL_SECONDS = 1.0
"""Interval between reads without change notifications."""
REREAD_SECONDS = 10.0
"""Interval between reads with change notifications, some of which may get lost."""
READ_TIMEOUT_SECONDS = 10.0
"""After this long without a response, the connection counts as lost."""
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.1, 5.0


class SubscriptionError(Exception):
    """The generation cannot be followed to its end; the message says why."""


class GenerationNotFound(SubscriptionError):
    """The generation does not exist, or the caller may not see it."""


class SubscriptionTimeout(SubscriptionError):
    """The generation did not end in time; it may still end later."""


class SubscriptionRefused(SubscriptionError):
    """The server rejects the key or token; retrying does not help."""


class ConnectionLost(Exception):
    """The connection is lost; reconnecting may succeed later."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a generation.

    `url` is relative to the app ("/images/…") where neither DARKROOM_URL nor a bucket is set;
    `width` and `height` are in pixels, `type` is the media type, such as "image/webp": each None
    if unknown.
    """

    url: str
    width: int | None
    height: int | None
    type: str | None


@dataclass(frozen=True, slots=True)
class GenerationUpdate:
    """A visible state of a generation.

    `status` is queued, processing, completed, failed or cancelled; `progress` in percent.
    While queued, `error_message` says why the last attempt failed; another follows. `error_code`
    names the kind of error: "refused" if a safety filter or a prompt check refused the request.
    `images` has all images once completed, and `image_url` is the URL of the first, relative to
    the app ("/images/…") where neither DARKROOM_URL nor a bucket is set. `application` and
    `metadata` are those of the request.
    """

    generation_id: UUID
    status: str
    progress: int
    image_url: str | None
    error_message: str | None
    error_code: str | None = None
    application: str | None = None
    metadata: Mapping[str, Any] | None = None
    images: tuple[Image, ...] = ()

    @property
    def final(self) -> bool:
        """Whether this is the last update."""
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A generation's row; `started_at` identifies its attempt."""

    status: str
    progress: int
    image_url: str | None
    error_message: str | None
    started_at: Any
    images: Sequence[Mapping[str, Any]] = ()
    error_code: str | None = None
    application: str | None = None
    metadata: Mapping[str, Any] | None = None


class Session(Protocol):
    """An open connection from which one generation can be read. Raises ConnectionLost."""

    @property
    def notified(self) -> bool:
        """Whether change notifications currently arrive."""

    async def read(self) -> Snapshot | None:
        """Read the generation; None if there is none."""

    async def wait(self, seconds: float) -> None:
        """Return when the row may have changed since the last read, or after `seconds`."""


Connect = Callable[[], AbstractAsyncContextManager[Session]]


class Subscription:
    """The updates of one generation: iterate with `async for`, or `for` without an event loop.

    Yields the current state, then every observed change without repeats, and finally the final
    state, exactly once. Each loop opens its own connection. It is closed before the final state is
    yielded, and otherwise with the loop's iterator: on `break`, or immediately and reliably with
    `contextlib.aclosing(aiter(subscription))`.
    """

    def __init__(
        self,
        generation_id: UUID,
        connect: Connect,
        *,
        timeout: float | None,
        read_seconds: float | None,
    ) -> None:
        if read_seconds is not None and read_seconds <= 0:
            raise ValueError("read_seconds must be greater than 0.")
        self._generation_id = generation_id
        self._connect = connect
        self._timeout = timeout
        self._read_seconds = read_seconds

    async def __aiter__(self) -> AsyncGenerator[GenerationUpdate, None]:
        """Raises GenerationNotFound, SubscriptionTimeout, SubscriptionRefused."""
        follower = _Follower(self._generation_id, self._connect, self._read_seconds)
        start = asyncio.get_running_loop().time()
        deadline = None if self._timeout is None else start + self._timeout
        async with aclosing(follower.updates()) as updates:
            while True:
                try:
                    # Around each step only, so that the caller's own code is never interrupted.
                    async with asyncio.timeout_at(deadline):
                        update = await anext(updates, None)
                except TimeoutError:
                    raise SubscriptionTimeout(
                        f"Generation {self._generation_id} did not end within {self._timeout:g} s:"
                        f" {follower.state}"
                    ) from None
                if update is None:
                    return
                yield update

    def __iter__(self) -> Generator[GenerationUpdate, None, None]:
        """Raises as the async form does, and RuntimeError if an event loop is running."""
        if _loop_is_running():
            raise RuntimeError("An event loop is running: use `async for` instead of `for`.")
        # No thread: the loop runs only while waiting for the next update.
        with asyncio.Runner() as runner:
            updates = aiter(self)
            try:
                while (update := runner.run(_next(updates))) is not None:
                    yield update
            finally:
                runner.run(updates.aclose())


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _next(updates: AsyncGenerator[GenerationUpdate, None]) -> GenerationUpdate | None:
    return await anext(updates, None)


class _Follower:
    """Turns the reads of consecutive sessions into updates."""

    def __init__(
        self, generation_id: UUID, connect: Connect, read_seconds: float | None = None
    ) -> None:
        self._generation_id = generation_id
        self._connect = connect
        self._read_seconds = read_seconds
        self._last: GenerationUpdate | None = None
        self._attempt: Any = None
        self._error: ConnectionLost | None = None

    @property
    def state(self) -> str:
        """The last known state, as the end of a sentence."""
        if self._error is not None:
            return str(self._error)
        if self._last is None:
            return "it has not been read yet."
        return f"it is {self._last.status} at {self._last.progress}%."

    async def updates(self) -> AsyncGenerator[GenerationUpdate, None]:
        """The updates up to the final one. Raises GenerationNotFound."""
        delays = backoff(MAX_BACKOFF_SECONDS)
        while True:
            try:
                async with self._connect() as session:
                    while True:
                        new = self._new_update(await _read(session))
                        if self._error is not None:
                            self._error, delays = None, backoff(MAX_BACKOFF_SECONDS)
                        if new is not None and new.final:
                            break
                        if new is not None:
                            yield new
                        await session.wait(self._read_interval(session))
            except ConnectionLost as lost:
                logger.warning(
                    "Generation %s cannot be followed at the moment: %s", self._generation_id, lost
                )
                self._error = lost
            if self._last is not None and self._last.final:
                yield self._last
                return
            await asyncio.sleep(next(delays))

    def _new_update(self, snapshot: Snapshot | None) -> GenerationUpdate | None:
        """The update for a snapshot; None if nothing changed."""
        if snapshot is None:
            raise GenerationNotFound(
                f"No generation {self._generation_id}, or this user may not see it."
            )
        last, progress = self._last, snapshot.progress
        if (
            last is not None
            and last.status == snapshot.status == "processing"
            and snapshot.started_at == self._attempt
        ):
            # Within an attempt a failed prediction may be replaced by one that starts at zero.
            progress = max(progress, last.progress)
        self._attempt = snapshot.started_at
        self._last = GenerationUpdate(
            self._generation_id,
            snapshot.status,
            progress,
            snapshot.image_url,
            snapshot.error_message,
            snapshot.error_code,
            snapshot.application,
            snapshot.metadata,
            tuple(Image(**image) for image in snapshot.images),
        )
        return None if self._last == last else self._last

    def _read_interval(self, session: Session) -> float:
        return self._read_seconds or (REREAD_SECONDS if session.notified else POLL_SECONDS)


async def _read(session: Session) -> Snapshot | None:
    try:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            return await session.read()
    except TimeoutError as error:
        raise ConnectionLost(f"No response within {READ_TIMEOUT_SECONDS:g} s.") from error


def backoff(maximum: float) -> Iterator[float]:
    """Seconds to wait between connection attempts: exponential backoff with jitter."""
    delay = MIN_BACKOFF_SECONDS
    while True:
        yield delay * random.uniform(0.5, 1)
        delay = min(delay * 2, maximum)
