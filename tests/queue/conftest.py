"""Two connections to one queue, and a way to make one of them wait for the other."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from queue_calls import Queue

from lib.database import connect
from lib.database.pool import Connection


@pytest.fixture
def queue(db: Connection) -> Queue:
    """The queue of a fresh database."""
    return Queue(db)


@pytest.fixture
def second(database: str) -> Iterator[Queue]:
    """The same queue on a connection of its own."""
    with connect(database) as db:
        yield Queue(db)


@pytest.fixture
def blocked(
    queue: Queue, second: Queue, eventually: Callable[..., Any]
) -> Iterator[Callable[..., Future[Any]]]:
    """Starts a call of the second connection and returns once it waits for a lock of the first."""
    with ThreadPoolExecutor(1) as thread:

        def start(call: Callable[[], Any]) -> Future[Any]:
            future = thread.submit(call)
            waits = "select %s = any (pg_blocking_pids(%s))"
            pids = (queue.db.info.backend_pid, second.db.info.backend_pid)
            eventually(lambda: future.done() or queue.one(waits, *pids))
            assert not future.done(), "it did not wait"
            return future

        yield start
