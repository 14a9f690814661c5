"""Connections, and connection pools that survive a restart of the database."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from lib.database.address import is_transaction_pooler, parse, route
from lib.database.errors import STALE_SESSION_ERRORS, DatabaseError, translated
from lib.database.queries import load, load_async

ROOM = Path(__file__).parent
APPLICATION = "darkroom"
CONNECT_TIMEOUT = 5
"""Seconds to wait for a server that does not respond."""
# Short, because the pool backs off exponentially up to this limit: with its default of five
# minutes it could take minutes to notice that the database is back.
RECONNECT_TIMEOUT = 4.0
CHECK_SECONDS = 1.0
# For a network that drops packets without closing connections, which Linux would detect only
# after 15 minutes, and never while waiting for a response.
SILENCE = {
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds
}

# What statements and the driver rely on, and a role or database may set otherwise. Not search_path,
# since all names are written in full; not limits of time or access, which are their owner's to set.
RELIED_ON = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "array_nulls": "on",
    "default_transaction_isolation": "read committed",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
}
# Whose other values only make a difference of digits, of an hour twice a year, or none.
PREFERRED = {"TimeZone": "UTC", "bytea_output": "hex", "extra_float_digits": "1"}

Connection = psycopg.Connection[DictRow]
AsyncConnection = psycopg.AsyncConnection[DictRow]


class Pool(ConnectionPool[Connection]):
    """A pool that replaces its connections once their prepared statements no longer fit."""

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection]:
        """A connection of the pool, as psycopg_pool has it."""
        try:
            with super().connection(timeout) as connection:
                yield connection
        except STALE_SESSION_ERRORS:
            self.drain()
            raise


class AsyncPool(AsyncConnectionPool[AsyncConnection]):
    """The same for an event loop.

    Its timeout means that the database is unreachable, not that the pool is busy.
    """

    _given = 0

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[AsyncConnection]:  # noqa: ASYNC109
        """A connection of the pool, as psycopg_pool has it."""
        try:
            async with super().connection(timeout) as connection:
                yield connection
        except STALE_SESSION_ERRORS:
            await self.drain()
            raise

    async def getconn(self, timeout: float | None = None) -> AsyncConnection:  # noqa: ASYNC109
        """Get a connection, waiting for as long as other callers keep getting theirs.

        Raises PoolTimeout if no caller got one for `timeout` seconds.
        """
        while True:
            given = self._given
            try:
                connection = await super().getconn(timeout)
            except PoolTimeout:
                if self._given == given:
                    raise
            else:
                self._given += 1
                return connection


def connect(url: str, *, application_name: str = APPLICATION) -> Connection:
    """Open one connection (autocommit, rows as dicts) without a statement time limit.

    Raises DatabaseUnavailable with the server's reason, DatabaseError for a malformed URL.
    """
    settings = connection_settings(url, application_name)
    with translated():
        connection = psycopg.connect(url, **settings, row_factory=dict_row)
        try:
            prepare(connection, url)
        except BaseException:
            connection.close()
            raise
        return connection


def open_pool(
    url: str,
    *,
    max_size: int = 4,
    wait: float = 5.0,
    statement_timeout: float = 0.0,
    application_name: str = APPLICATION,
) -> Pool:
    """Open a pool of connections (autocommit, rows as dicts) for threads.

    Returns immediately, even if the database is unreachable; a connection is checked when it
    is acquired, and lost ones are replaced as soon as the database is back. `wait` is the
    maximum wait for a connection and `statement_timeout` the time limit per statement, in
    seconds, zero for none. Supabase's transaction pooler does not keep such a limit: set it on
    the role there. Close the pool at the end. Raises DatabaseError for a malformed URL.
    """

    def check(connection: Connection) -> None:
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            # A restart broke the others too. By itself the pool would detect them one by one, with
            # exponential backoff in between.
            pool.check()
            raise

    pool = Pool(
        url,
        connection_class=psycopg.Connection[DictRow],
        kwargs=connection_settings(url, application_name) | {"row_factory": dict_row},
        configure=partial(prepare, url=url, statement_timeout=statement_timeout),
        check=check,
        min_size=1,
        max_size=max_size,
        timeout=wait,
        reconnect_timeout=RECONNECT_TIMEOUT,
        name=application_name,
        open=True,
    )
    return pool


async def open_async_pool(
    url: str,
    *,
    max_size: int = 4,
    wait: float = 5.0,
    statement_timeout: float = 0.0,
    application_name: str = APPLICATION,
) -> AsyncPool:
    """Open the same kind of pool as `open_pool` for the running event loop.

    A busy connection is checked only once per CHECK_SECONDS, because otherwise a worker's short
    statements would take twice as long. While other callers get connections, waiting may take
    longer than `wait`.
    """
    checked: WeakKeyDictionary[AsyncConnection, float] = WeakKeyDictionary()

    async def check(connection: AsyncConnection) -> None:
        now = time.monotonic()
        if now - checked.get(connection, -CHECK_SECONDS) < CHECK_SECONDS:
            return
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            await pool.check()
            raise
        checked[connection] = now

    pool = AsyncPool(
        url,
        connection_class=psycopg.AsyncConnection[DictRow],
        kwargs=connection_settings(url, application_name) | {"row_factory": dict_row},
        configure=partial(prepare_async, url=url, statement_timeout=statement_timeout),
        check=check,
        min_size=1,
        max_size=max_size,
        timeout=wait,
        reconnect_timeout=RECONNECT_TIMEOUT,
        name=application_name,
        open=False,
    )
    await pool.open()
    return pool


@asynccontextmanager
async def connected(pool: AsyncPool) -> AsyncIterator[AsyncConnection]:
    """A connection from the pool, with the driver's errors translated. Raises DatabaseError."""
    with translated():
        async with pool.connection() as connection:
            yield connection


def connection_settings(url: str, application_name: str) -> dict[str, Any]:
    """Connection parameters for a URL, in addition to those in the URL.

    Keepalives and tcp_user_timeout set in the URL take precedence; on a Unix socket they have no
    effect. Raises DatabaseError for a malformed URL.
    """
    said = parse(url)
    settings: dict[str, Any] = {
        "autocommit": True,
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT,
        "client_encoding": "UTF8",
    } | {name: value for name, value in SILENCE.items() if name not in said}
    if is_transaction_pooler(url):
        # Each transaction may get another server connection, without our prepared statements.
        settings["prepare_threshold"] = None
    return settings


def prepare(connection: Connection, url: str, statement_timeout: float = 0.0) -> None:
    """Set what we rely on in a new session, and a time limit per statement in seconds.

    Behind a transaction pooler nothing is set or prepared, since the session is shared. Raises
    DatabaseError, saying what to set, if its role has other settings.
    """
    session = load("session", ROOM)
    if _pooled(connection, url, session.backend_pid(connection)):
        connection.prepare_threshold = None
    _refuse(session.prepare(connection, **_wanted(connection, statement_timeout)))


async def prepare_async(
    connection: AsyncConnection, url: str, statement_timeout: float = 0.0
) -> None:
    """Do the same for an async connection."""
    session = load_async("session", ROOM)
    if _pooled(connection, url, await session.backend_pid(connection)):
        connection.prepare_threshold = None
    rows = session.prepare(connection, **_wanted(connection, statement_timeout))
    _refuse([row async for row in rows])


def is_shared(connection: Connection | AsyncConnection) -> bool:
    """Whether each transaction of a prepared connection may get another session."""
    return connection.prepare_threshold is None


def _pooled(connection: Connection | AsyncConnection, url: str, backend_pid: int) -> bool:
    # An unknown pooler may give each transaction another session, and does so by its defaults on
    # most platforms. One that does not loses little.
    unknown = route(url) == "server" and connection.info.backend_pid != backend_pid
    return unknown or is_transaction_pooler(url)


def _wanted(connection: Connection | AsyncConnection, statement_timeout: float) -> dict[str, Any]:
    kept = not is_shared(connection)
    wanted = RELIED_ON | PREFERRED if kept else RELIED_ON
    if kept and statement_timeout:
        wanted = wanted | {"statement_timeout": str(round(statement_timeout * 1000))}
    return {"names": list(wanted), "values": list(wanted.values()), "kept": kept}


def _refuse(different: Sequence[Mapping[str, str]]) -> None:
    if different:
        raise DatabaseError(
            "Through a transaction pooler, the settings of the database role apply. Darkroom"
            f" needs different ones: {'; '.join(row['repair'] for row in different)}."
        )
