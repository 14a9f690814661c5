"""Plain PostgreSQL made to look like a Supabase project."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lib.database import DatabaseError, connect, embedded
from lib.database.bootstrap import bootstrap
from lib.database.pool import Connection

USER = "00000000-0000-0000-0000-00000000000a"


def value(conn: Connection, query: str) -> object:
    row = conn.execute(query).fetchone()
    assert row is not None
    return next(iter(row.values()))


def bootstrap_at(url: str, together: threading.Barrier) -> bool:
    with connect(url) as conn:
        together.wait(30)
        return bootstrap(conn)


def test_plain_database_gets_what_supabase_has(empty_database: str) -> None:
    with connect(empty_database) as conn:
        assert bootstrap(conn) is True
        roles = conn.execute(
            "select rolname, rolbypassrls, rolcanlogin from pg_roles"
            " where rolname in ('anon', 'authenticated', 'service_role') order by rolname"
        ).fetchall()
        assert [tuple(role.values()) for role in roles] == [
            ("anon", False, False),
            ("authenticated", False, False),
            ("service_role", True, False),
        ]
        assert value(conn, "select count(*) from auth.users") == 0
        assert value(
            conn, "select count(*) from pg_publication where pubname = 'supabase_realtime'"
        )


def test_second_time_changes_nothing(empty_database: str) -> None:
    with connect(empty_database) as conn:
        bootstrap(conn)
        conn.execute("insert into auth.users (id) values (%s)", [USER])
        assert bootstrap(conn) is True
        assert value(conn, "select count(*) from auth.users") == 1


@pytest.mark.parametrize(
    ("setting", "claims"),
    [
        ("request.jwt.claims", f'{{"sub": "{USER}", "role": "authenticated"}}'),
        ("request.jwt.claim.sub", USER),
    ],
)
def test_claims_of_the_request_are_read(empty_database: str, setting: str, claims: str) -> None:
    with connect(empty_database) as conn:
        bootstrap(conn)
        conn.execute("set role authenticated")
        assert value(conn, "select auth.uid()") is None, "without a request"
        conn.execute("select set_config(%s, %s, false)", [setting, claims])
        assert str(value(conn, "select auth.uid()")) == USER
        if claims.startswith("{"):
            assert value(conn, "select auth.role()") == "authenticated"
            assert value(conn, "select auth.jwt() ->> 'sub'") == USER


def test_auth_of_somebody_else_is_left_alone(empty_database: str) -> None:
    with connect(empty_database) as conn:
        conn.execute("create schema auth create table users (id uuid primary key)")
        assert bootstrap(conn) is False
        assert value(conn, "select to_regproc('auth.uid')") is None
        assert value(conn, "select count(*) from pg_publication") == 0


def test_needs_a_superuser_and_leaves_nothing_half_done(empty_database: str) -> None:
    with connect(empty_database) as conn:
        conn.execute("set role pg_monitor")
        with pytest.raises(DatabaseError, match="Only a superuser"):
            bootstrap(conn)
        assert value(conn, "select to_regnamespace('auth')") is None


def test_databases_of_a_new_server_at_once_and_then_supabase_itself(folder: Path) -> None:
    server = embedded.start(folder)
    names = ["one", "two", "three", "supabase"]
    with connect(server.url) as conn:
        for name in names:
            conn.execute(f"create database {name}")
    *urls, supabase = [urlsplit(server.url)._replace(path=f"/{name}").geturl() for name in names]
    together = threading.Barrier(6)
    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(lambda url: bootstrap_at(url, together), urls * 2))

    with connect(supabase) as conn:
        conn.execute("create role supabase_admin")
        assert bootstrap(conn) is False
        assert value(conn, "select to_regnamespace('auth')") is None
    server.stop()
