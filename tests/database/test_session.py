"""Sessions are the same whatever a role, a database or libpq's environment sets."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from environment import bare

from lib.database import (
    DatabaseError,
    DatabaseUnavailable,
    connect,
    embedded,
    listening,
    notifications,
    open_async_pool,
    open_pool,
    translated,
)
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply, check_schema
from lib.database.pool import Connection

ROOT = Path(__file__).parents[2]
ODD = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "array_nulls": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-15",
    "quote_all_identifiers": "on",
    "row_security": "off",
    "search_path": "elsewhere",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
}
QUERY = r"""
    select timestamptz '2026-01-01 00:00:00Z' as time, interval '-1 day 2 hours' as span,
        0.1::double precision + 0.2 as number, '\\x00'::bytea as bytes, '😀\d' as text,
        '{null}'::text[] as list, null = null as equal,
        current_setting('transaction_isolation') as isolation,
        pg_catalog.quote_ident('plain') as identifier, current_setting('row_security') as secured,
        date_part('hour', timestamptz '2026-01-01 00:00:00Z') as hour
"""
ANSWER = {
    "time": datetime(2026, 1, 1, tzinfo=UTC),
    "span": timedelta(days=-1, hours=2),
    "number": 0.1 + 0.2,
    "bytes": rb"\x00",
    "text": "😀\\d",
    "list": [None],
    "equal": None,
    "isolation": "read committed",
    "identifier": "plain",
    "secured": "on",
    "hour": 0,
}


@pytest.fixture
def odd_url(postgres: embedded.EmbeddedPostgres, empty_database: str) -> Iterator[str]:
    """The URL of an empty database for a superuser with odd settings."""
    with connect(postgres.url) as admin:
        admin.execute("create role odd superuser login")
        for name, value in ODD.items():
            admin.execute(f"alter role odd set {name} = '{value}'")
        yield empty_database.replace("postgres@", "odd@")
    with connect(empty_database) as owner:
        owner.execute("reassign owned by odd to postgres; drop owned by odd; drop role odd")


def answer(connection: Connection) -> Any:
    return connection.execute(QUERY).fetchone()


def test_connections_and_pools_set_what_they_rely_on(odd_url: str) -> None:
    with connect(odd_url) as connection:
        assert answer(connection) == ANSWER
    with open_pool(odd_url, statement_timeout=7) as pool, pool.connection() as connection:
        assert answer(connection) == ANSWER
        timeout = connection.execute("show statement_timeout").fetchone()
        assert timeout == {"statement_timeout": "7s"}


async def test_async_pools_and_listeners_set_what_they_rely_on(odd_url: str) -> None:
    async with await open_async_pool(odd_url) as pool, pool.connection() as connection:
        assert await (await connection.execute(QUERY)).fetchone() == ANSWER
    async with listening(odd_url, "channel") as listener:
        assert await (await listener.connection.execute(QUERY)).fetchone() == ANSWER
    stream = notifications(odd_url, "channel")
    await anext(stream)
    with connect(odd_url) as connection:
        connection.execute("select pg_notify('channel', '😀')")
    assert await anext(stream) == "😀"
    await stream.aclose()


def test_migrations_apply_and_leave_the_session_as_it_was(odd_url: str) -> None:
    with connect(odd_url) as connection:
        bootstrap(connection)
        assert apply(connection)
        assert answer(connection) == ANSWER
        assert check_schema(connection)
        [job] = connection.execute("select public.enqueue_job('test', '{}') as id").fetchall()
        claimed = connection.execute("select id from public.claim_jobs(1)").fetchall()
        assert claimed == [job]


def test_role_with_other_settings_is_refused_behind_a_transaction_pooler(
    odd_url: str, door: Callable[[int], str]
) -> None:
    host = urlsplit(door(6543)).query
    pooled = urlsplit(odd_url)._replace(query=host).geturl()
    with pytest.raises(DatabaseError, match=r"role \S+ set DateStyle = 'ISO'; ") as caught:
        connect(pooled)
    repairs = str(caught.value).partition(": ")[2].removesuffix(".")
    assert "TimeZone" not in repairs, "any zone will do"
    with connect(odd_url) as admin:
        for repair in repairs.split("; "):
            admin.execute(repair)
    with connect(pooled) as connection:
        assert connection.execute("show timezone").fetchone() == {"TimeZone": "Asia/Kathmandu"}


def test_database_that_was_made_read_only_is_named_as_such(odd_url: str) -> None:
    """It is not overruled: Supabase makes a database read-only while its disk is full."""
    with connect(odd_url) as admin:
        admin.execute("alter role odd set default_transaction_read_only = on")
    with (
        connect(odd_url) as connection,
        pytest.raises(DatabaseUnavailable, match=r"read-only: .*default_transaction_read_only"),
        translated(),
    ):
        connection.execute("create table refused ()")


def test_settings_of_the_environment_are_overruled(odd_url: str) -> None:
    environment = bare(PGCLIENTENCODING="nonsense", PGDATESTYLE="SQL, DMY", PGTZ="Asia/Kathmandu")
    query = "select now()::text || chr(128512) as text"
    script = (
        "import sys; from lib.database import connect; sys.stdout.reconfigure(encoding='utf-8')\n"
        f"print(connect(sys.argv[1]).execute({query!r}).fetchone()['text'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, odd_url],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert re.search(r"\d{4}-\d\d-\d\d .*\+00😀", found.stdout)
