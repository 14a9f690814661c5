"""Connections through restarts, outages and bad URLs, and what is shown of a password."""

import asyncio
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib.database import (
    DatabaseError,
    DatabaseUnavailable,
    connect,
    embedded,
    open_async_pool,
    open_pool,
    redact,
    translated,
)
from lib.database.pool import Connection

SECRET = "hunter2-sesame"
BOUND = 10
"""Generous, in seconds; a wait without end is what it tells from one with an end."""


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A TCP port that refuses connections, taken so that nobody else listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A TCP port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def unreachable(port: int) -> str:
    return f"postgresql://someone:{SECRET}@127.0.0.1:{port}/somewhere"


def value(conn: Connection, query: str) -> object:
    row = conn.execute(query).fetchone()
    assert row is not None
    return next(iter(row.values()))


def test_connection_commits_at_once_and_gives_dicts(database: str) -> None:
    with connect(database) as writer, connect(database) as reader:
        writer.execute("create table written as select 1 as n")
        assert reader.execute("select n from written").fetchall() == [{"n": 1}]
        assert value(writer, "show application_name") == "darkroom"


def test_pool_survives_the_loss_of_all_its_connections(
    postgres: embedded.EmbeddedPostgres, terminate: Callable[[str], None]
) -> None:
    with open_pool(postgres.url, application_name="lossy") as pool:
        taken = [pool.getconn() for _ in range(4)]
        for connection in taken:
            pool.putconn(connection)
        terminate("lossy")
        with pool.connection() as conn:
            assert value(conn, "select 1") == 1
            assert conn not in taken


async def test_async_pool_survives_the_loss_of_all_its_connections(
    postgres: embedded.EmbeddedPostgres,
    terminate: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if the connections had been idle for longer than that.
    monkeypatch.setattr("lib.database.pool.CHECK_SECONDS", 0.0)
    pool = await open_async_pool(postgres.url, application_name="lossy")
    async with pool:
        taken = [await pool.getconn() for _ in range(4)]
        for connection in taken:
            await pool.putconn(connection)
        terminate("lossy")
        async with pool.connection() as conn:
            await conn.execute("select 1")
            assert conn not in taken


def test_connection_lost_in_use_is_unavailability_once(
    postgres: embedded.EmbeddedPostgres, terminate: Callable[[str], None]
) -> None:
    with open_pool(postgres.url, application_name="lossy") as pool:
        with pool.connection() as conn:
            terminate("lossy")
            with pytest.raises(DatabaseUnavailable), translated():
                conn.execute("select 1")
        with translated(), pool.connection() as conn:
            assert value(conn, "select 1") == 1


def test_pool_opened_before_the_database_serves_once_it_is_there(door: Callable[..., str]) -> None:
    url = door(5432, opened=False)
    with open_pool(url, wait=0.1) as pool:
        with pytest.raises(DatabaseUnavailable), translated():
            pool.getconn()
        door(5432)
        with pool.connection(timeout=60) as conn:
            assert value(conn, "select 1") == 1


def test_pool_outlives_a_restart_of_the_server(
    own_server: embedded.EmbeddedPostgres, used_folder: Path
) -> None:
    with open_pool(own_server.url, wait=0.1) as pool:
        pool.wait()
        own_server.stop()
        with pytest.raises(DatabaseUnavailable), translated():
            pool.getconn()
        embedded.start(used_folder)
        with pool.connection(timeout=60) as conn:
            assert value(conn, "select 1") == 1


def test_full_pool_is_unavailability(postgres: embedded.EmbeddedPostgres) -> None:
    with (
        open_pool(postgres.url, max_size=1, wait=0.1) as pool,
        pool.connection(),
        pytest.raises(DatabaseUnavailable),
        translated(),
    ):
        pool.getconn()


def test_nothing_listening_is_unavailability_soon_and_without_password(
    deaf_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable) as direct:
        connect(unreachable(deaf_port))
    with (
        open_pool(unreachable(deaf_port), wait=0.2) as pool,
        pytest.raises(DatabaseUnavailable) as pooled,
        translated(),
    ):
        pool.getconn()
    assert time.monotonic() - began < BOUND
    assert "refused" in str(direct.value)
    shown = traceback.format_exception(direct.value) + traceback.format_exception(pooled.value)
    assert SECRET not in "".join(shown) + caplog.text
    assert "refused" in caplog.text, "the pool's own report, free of the password too"


async def test_nothing_listening_is_unavailability_for_async_pools_too(deaf_port: int) -> None:
    pool = await open_async_pool(unreachable(deaf_port), wait=0.2)
    async with pool:
        with pytest.raises(DatabaseUnavailable), translated():
            await pool.getconn()


def test_server_that_never_answers_is_unavailability(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.database.pool.CONNECT_TIMEOUT", 1)
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="timeout"):
        connect(unreachable(silent_port))
    assert time.monotonic() - began < BOUND


def test_statement_beyond_its_time_is_unavailability(postgres: embedded.EmbeddedPostgres) -> None:
    with (
        open_pool(postgres.url, statement_timeout=0.05) as pool,
        pool.connection() as conn,
        pytest.raises(DatabaseUnavailable, match="time limit"),
        translated(),
    ):
        conn.execute("select pg_sleep(60)")


async def test_statement_beyond_its_time_in_an_async_pool(
    postgres: embedded.EmbeddedPostgres,
) -> None:
    pool = await open_async_pool(postgres.url, statement_timeout=0.05)
    async with pool, pool.connection() as conn:
        with pytest.raises(DatabaseUnavailable, match="time limit"), translated():
            await conn.execute("select pg_sleep(60)")


@pytest.mark.parametrize(("port", "pooler"), [(5432, False), (6543, True)])
def test_transaction_pooler_gets_nothing_that_outlives_a_transaction(
    door: Callable[[int], str], port: int, pooler: bool
) -> None:
    with open_pool(door(port), statement_timeout=7) as pool, pool.connection() as conn:
        for n in range(20):
            conn.execute("select %s::int", [n])
        assert (value(conn, "select count(*) from pg_prepared_statements") == 0) == pooler
        assert value(conn, "show statement_timeout") == ("0" if pooler else "7s")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://someone:{SECRET}@db.example.com:6543/app", "db.example.com:6543/app"),
        (f"postgres://someone:{SECRET}@db.example.com", "db.example.com:5432/someone"),
        (f"postgresql://db.example.com/app?password={SECRET}", "db.example.com:5432/app"),
        (f"host=db.example.com dbname=app password={SECRET}", "db.example.com:5432/app"),
        (f"postgresql://u:{SECRET}%40%2F%23@[::1]:5433/app?sslmode=require", "::1:5433/app"),
        (f"postgresql://u:{SECRET}@/app?host=/run/postgresql", "local socket, database app"),
        ("", "localhost:5432/postgres"),
    ],
)
def test_redacted_url_says_where_it_leads(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:zz@zz@host/db",
        "postgresql://u:zz/zz@host/db",
        "postgresql://u:123/zz@host/db",
        "postgresql://u:zz@zz:zz@host:5432/db",
        "postgresql://u:zz@1/zz@host/db",
        "postgresql://u:zz@zz?zz@host/db",
        "postgresql://u:zz%zz@host/db",
        "postgresql://u:zz@host/db?pgbouncer=true",
        "postgresql+driver://u:zz@host/db",
    ],
)
def test_malformed_url_is_refused_without_its_password(url: str) -> None:
    for use in (redact, connect, open_pool):
        with pytest.raises(DatabaseError, match="malformed") as caught:
            use(url)  # type: ignore[operator]
        shown = "".join(traceback.format_exception(caught.value)).replace(repr(url), "")
        assert "zz" not in shown


def test_wrong_password_is_not_repeated(
    own_server: embedded.EmbeddedPostgres, used_folder: Path
) -> None:
    with connect(own_server.url) as conn:
        conn.execute("create role someone login password 'another'")
        access = used_folder / "data" / "pg_hba.conf"
        access.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        conn.execute("select pg_reload_conf()")
    url = own_server.url.replace("postgres@", f"someone:{SECRET}@")
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as caught:
        connect(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.asyncio
async def test_a_pool_that_is_only_busy_is_no_database_that_is_away(database: str) -> None:
    pool = await open_async_pool(database, max_size=1, wait=0.2)

    async def sleep() -> None:
        async with pool.connection() as connection:
            await connection.execute("select pg_sleep(0.1)")

    async with pool, asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(sleep())


@pytest.mark.asyncio
async def test_a_pool_without_progress_gives_up(database: str) -> None:
    async with await open_async_pool(database, max_size=1, wait=0.2) as pool, pool.connection():
        with pytest.raises(DatabaseUnavailable), translated():
            async with pool.connection():
                pass
