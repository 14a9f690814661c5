"""Generations that are followed, and who follows them."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any

import pytest
import uvicorn
from environment import data_folder
from restartable import Server
from starlette.types import ASGIApp
from story import Story

from lib.client import GenerationUpdate, Subscription
from lib.database.pool import Connection


class Follower:
    """Goes through a subscription in a thread, as a plain script does."""

    def __init__(self, subscription: Subscription) -> None:
        self.updates: list[GenerationUpdate] = []
        self._subscription = subscription
        self._thread = Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        for update in self._subscription:
            self.updates.append(update)

    def end(self) -> list[GenerationUpdate]:
        """What it was told, once there is no more."""
        self._thread.join(30)
        assert not self._thread.is_alive(), self.updates
        return self.updates


@pytest.fixture
def follow(eventually: Callable[..., Any]) -> Callable[[Subscription], Follower]:
    """Follows a subscription in a thread, from its first update on."""

    def follow(subscription: Subscription) -> Follower:
        follower = Follower(subscription)
        eventually(lambda: follower.updates)
        return follower

    return follow


@pytest.fixture
def until(eventually: Callable[..., Any]) -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    """As `eventually`, letting the event loop go on meanwhile."""
    return partial(asyncio.to_thread, eventually)


@pytest.fixture
def story(db: Connection) -> Story:
    """A generation that was just requested."""
    return Story(db)


@pytest.fixture
def connections(db: Connection) -> Callable[[], int]:
    """How many connections subscriptions hold to the test's database."""
    query = (
        "select count(*) as n from pg_stat_activity where datname = current_database()"
        " and application_name like 'darkroom listening%%'"
    )
    return lambda: db.execute(query).fetchone()["n"]


@pytest.fixture(scope="module")
def server(eventually: Callable[..., Any]) -> Iterator[Server]:
    """A migrated database on a server that the test may stop and start."""
    folder = data_folder("client")
    made = Server(folder, eventually)
    yield made
    made.end()
    shutil.rmtree(folder)


@pytest.fixture
def serve(eventually: Callable[..., Any]) -> Callable[[ASGIApp], Any]:
    """A context in which an app is served; gives its URL."""

    @contextmanager
    def serving(app: ASGIApp) -> Iterator[str]:
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = Thread(target=server.run)
        thread.start()
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()

    return serving
