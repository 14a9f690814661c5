"""What callers see of PostgreSQL's refusals."""

import psycopg
import pytest

from lib.database import (
    DatabaseUnavailable,
    QueryError,
    SchemaMissing,
    StatementFailed,
    TimeLimitReached,
    embedded,
    translated,
)
from lib.database.pool import Connection

RAISE = "do $$ begin raise exception 'No.' using errcode = '{}', detail = '{}'; end $$"


@pytest.fixture
def table(conn: Connection) -> str:
    conn.execute(
        "create temporary table child"
        " (id int primary key, parent int references child, size int check (size > 0))"
    )
    conn.execute("insert into child values (1)")
    return "child"


@pytest.mark.parametrize(
    ("sqlstate", "statement"),
    [
        ("22023", "select set_config('statement_timeout', 'x', false)"),
        ("22P02", "select 'x'::uuid"),
        ("23503", "insert into child values (2, 9)"),
        ("23505", "insert into child values (1)"),
        ("23514", "insert into child values (2, 1, -1)"),
        ("DR404", RAISE.format("DR404", "")),
    ],
)
def test_fault_of_the_caller_is_a_query_error(
    conn: Connection, table: str, sqlstate: str, statement: str
) -> None:
    with pytest.raises(QueryError) as caught, translated():
        conn.execute(statement)
    assert caught.value.sqlstate == sqlstate
    assert caught.value.message == str(caught.value)
    assert "\n" not in caught.value.message, "PostgreSQL's sentence alone"


def test_text_that_cannot_be_sent_is_a_query_error(conn: Connection) -> None:
    with pytest.raises(QueryError) as caught, translated():
        conn.execute("select %s", ["a\0b"])
    assert caught.value.sqlstate == "22021"
    assert "NUL" in caught.value.message


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ('{"daily_limit": 5}', {"daily_limit": 5}),
        ("Daily limit.", {"detail": "Daily limit."}),
        ("[1]", {"detail": "[1]"}),
        ("", {}),
    ],
)
def test_detail_is_the_errors_json_or_its_text(
    conn: Connection, detail: str, expected: dict[str, object]
) -> None:
    with pytest.raises(QueryError, match=r"^No\.$") as caught, translated():
        conn.execute(RAISE.format("DR429", detail))
    assert caught.value.detail == expected


@pytest.mark.parametrize("statement", ["selec 1", "select 1/0"])
def test_fault_of_ours_is_neither_the_callers_nor_passing(conn: Connection, statement: str) -> None:
    with (
        pytest.raises(StatementFailed, match=r"PostgreSQL rejected the statement: .* \(\w{5}\)$"),
        translated(),
    ):
        conn.execute(statement)
    assert not issubclass(StatementFailed, QueryError | DatabaseUnavailable)


@pytest.mark.parametrize(
    "statement", ["select * from nowhere", "select nothing()", "select x from pg_class"]
)
def test_a_missing_schema_says_what_to_run(conn: Connection, statement: str) -> None:
    with pytest.raises(SchemaMissing, match=r"python -m lib\.database\.migrations"), translated():
        conn.execute(statement)


def test_a_read_only_database_is_unavailability(conn: Connection) -> None:
    conn.execute("set default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailable), translated():
        conn.execute("create table refused ()")


def test_time_limit_is_unavailability_of_its_own_kind(conn: Connection) -> None:
    assert issubclass(TimeLimitReached, DatabaseUnavailable)
    conn.execute("set statement_timeout = 20")
    with pytest.raises(TimeLimitReached, match="time limit"), translated():
        conn.execute("select pg_sleep(60)")


def test_closed_connection_is_unavailability(conn: Connection) -> None:
    conn.close()
    with pytest.raises(DatabaseUnavailable, match="closed"), translated():
        conn.execute("select 1")


async def test_errors_of_awaited_calls_are_translated_too(
    postgres: embedded.EmbeddedPostgres,
) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.url) as conn:
        with pytest.raises(QueryError), translated():
            await conn.execute("select 'x'::uuid")
