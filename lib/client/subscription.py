"""What a subscription tells and when, whatever happens to its connection."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

logger = logging.getLogger(__name__)

FINAL = ("completed", "failed", "cancelled")
POLL_SECONDS = 1.0
"""Between reads where nothing tells of changes."""
REREAD_SECONDS = 10.0
"""Between reads where changes are told: what was told may have been lost on the way."""
ANSWER_SECONDS = 10.0
"""For a read, before the connection counts as lost."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0


class SubscriptionError(Exception):
    """The generation cannot be followed to its end; the message says why."""


class GenerationNotFound(SubscriptionError):
    """There is no such generation, or none that the caller may see."""


class SubscriptionTimeout(SubscriptionError):
    """The generation did not end in time; it may still end later."""


class SubscriptionRefused(SubscriptionError):
    """The server will not answer this key or token, now or later."""


class SourceLost(Exception):
    """The connection to a source is lost; another may succeed later."""


@dataclass(frozen=True, slots=True)
class GenerationUpdate:
    """A visible state of a generation.

    `status` is queued, processing, completed, failed or cancelled; `progress` in percent.
    `error_message` beside queued is why the last attempt failed: another follows.
    """

    generation_id: UUID
    status: str
    progress: int
    image_url: str | None
    error_message: str | None

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A generation's row as read; `started_at` identifies its attempt."""

    status: str
    progress: int
    image_url: str | None
    error_message: str | None
    started_at: Any


class Session(Protocol):
    """An open connection to where one generation can be read. Raises SourceLost once lost."""

    @property
    def hears(self) -> bool:
        """Whether it is told of changes at present."""

    async def read(self) -> Snapshot | None:
        """The generation now; None when there is none."""

    async def wait(self, seconds: float) -> None:
        """Returns when it may have changed since the last read, or after `seconds`."""


Connect = Callable[[], AbstractAsyncContextManager[Session]]


class Subscription:
    """The updates of one generation: `async for` them, or `for` where no event loop runs.

    First its state now, then every change that is seen, never the same twice, and last its
    final state, exactly once. Each loop starts anew with a connection of its own, which is freed
    before the final state is told, and otherwise when the loop's iterator is closed: `break` does
    so, `contextlib.aclosing(aiter(subscription))` at once whatever happens.
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
            raise ValueError("read_seconds must be more than 0.")
        self._generation_id = generation_id
        self._connect = connect
        self._timeout = timeout
        self._read_seconds = read_seconds

    async def __aiter__(self) -> AsyncGenerator[GenerationUpdate, None]:
        """Raises GenerationNotFound, SubscriptionTimeout, SubscriptionRefused."""
        following = _Following(self._generation_id, self._connect, self._read_seconds)
        start = asyncio.get_running_loop().time()
        deadline = None if self._timeout is None else start + self._timeout
        async with aclosing(following.updates()) as updates:
            while True:
                try:
                    # Around each step alone: the caller's own time is not to be interrupted.
                    async with asyncio.timeout_at(deadline):
                        update = await anext(updates, None)
                except TimeoutError:
                    raise SubscriptionTimeout(
                        f"Generation {self._generation_id} did not end within {self._timeout:g} s:"
                        f" {following.state}"
                    ) from None
                if update is None:
                    return
                yield update

    def __iter__(self) -> Generator[GenerationUpdate, None, None]:
        """Raises as the async form does, and RuntimeError where an event loop runs."""
        if _loop_runs():
            raise RuntimeError("An event loop runs here: use `async for` instead of `for`.")
        # No thread: the loop runs while the next update is waited for, and stands still between.
        with asyncio.Runner() as runner:
            updates = aiter(self)
            try:
                while (update := runner.run(_next(updates))) is not None:
                    yield update
            finally:
                runner.run(updates.aclose())


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _next(updates: AsyncGenerator[GenerationUpdate, None]) -> GenerationUpdate | None:
    return await anext(updates, None)


class _Following:
    """Decides what is told, from one session after another."""

    def __init__(
        self, generation_id: UUID, connect: Connect, read_seconds: float | None = None
    ) -> None:
        self._generation_id = generation_id
        self._connect = connect
        self._read_seconds = read_seconds
        self._last: GenerationUpdate | None = None
        self._attempt: Any = None
        self._trouble: SourceLost | None = None

    @property
    def state(self) -> str:
        """What is known now, as the end of a sentence."""
        if self._trouble is not None:
            return str(self._trouble)
        if self._last is None:
            return "it was not read yet."
        return f"it is {self._last.status} at {self._last.progress} %."

    async def updates(self) -> AsyncGenerator[GenerationUpdate, None]:
        """The updates up to the final one. Raises GenerationNotFound."""
        pauses = backoff(LONGEST_PAUSE_SECONDS)
        while True:
            try:
                async with self._connect() as session:
                    while True:
                        new = self._take(await _read(session))
                        if self._trouble is not None:
                            self._trouble, pauses = None, backoff(LONGEST_PAUSE_SECONDS)
                        if new is not None and new.final:
                            break
                        if new is not None:
                            yield new
                        await session.wait(self._seconds(session))
            except SourceLost as lost:
                logger.warning("Generation %s is not followed now: %s", self._generation_id, lost)
                self._trouble = lost
            if self._last is not None and self._last.final:
                yield self._last
                return
            await asyncio.sleep(next(pauses))

    def _take(self, found: Snapshot | None) -> GenerationUpdate | None:
        """The update that a read gives, unless it was the last one already."""
        if found is None:
            raise GenerationNotFound(
                f"There is no generation {self._generation_id}, or none that this user may see."
            )
        last, progress = self._last, found.progress
        if (
            last is not None
            and last.status == found.status == "processing"
            and found.started_at == self._attempt
        ):
            # A prediction that failed may be replaced within an attempt, and starts at zero.
            progress = max(progress, last.progress)
        self._attempt = found.started_at
        self._last = GenerationUpdate(
            self._generation_id, found.status, progress, found.image_url, found.error_message
        )
        return None if self._last == last else self._last

    def _seconds(self, session: Session) -> float:
        return self._read_seconds or (REREAD_SECONDS if session.hears else POLL_SECONDS)


async def _read(session: Session) -> Snapshot | None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await session.read()
    except TimeoutError as error:
        raise SourceLost(f"No answer came within {ANSWER_SECONDS:g} s.") from error


def backoff(longest: float) -> Iterator[float]:
    """Seconds to wait between attempts to connect: twice as long each time, with jitter."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause * random.uniform(0.5, 1)
        pause = min(pause * 2, longest)
