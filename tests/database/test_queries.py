"""SQL files as functions, for plain and for async connections."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiosql import SQLLoadException

from lib.database import embedded, load, load_async, open_async_pool, open_pool
from lib.database.pool import AsyncConnection, Connection
from lib.database.queries import QUERIES

FILE = """
-- name: numbers(least)
select n, 100 %% n as rest from generate_series(1, 3) n where n >= :least order by n;

-- name: number(wanted)^
select n from generate_series(1, 3) n where n = :wanted;

-- name: echo(text)$
select :text::text as echoed;

-- name: nothing()$
select 1 as n where false;

-- name: forget(least)!
delete from number where n >= :least;

-- name: make#
create temporary table number as select generate_series(1, 5) as n;
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "example.sql").write_text(FILE)
    return tmp_path


@pytest.fixture
def queries(file: Path) -> Any:
    return load("example", file)


@pytest.fixture
async def aconn(postgres: embedded.EmbeddedPostgres) -> AsyncIterator[AsyncConnection]:
    pool = await open_async_pool(postgres.url)
    async with pool, pool.connection() as conn:
        yield conn


def test_rows_outlive_the_connection(queries: Any, postgres: embedded.EmbeddedPostgres) -> None:
    with open_pool(postgres.url) as pool, pool.connection() as conn:
        rows = queries.numbers(conn, least=2)
    assert rows == [{"n": 2, "rest": 0}, {"n": 3, "rest": 1}]


def test_one_row_or_none(queries: Any, conn: Connection) -> None:
    assert queries.number(conn, wanted=2) == {"n": 2}
    assert queries.number(conn, wanted=9) is None


def test_value_or_none(queries: Any, conn: Connection) -> None:
    hostile = "'; drop table job_queue; -- %s :x {}"
    assert queries.echo(conn, text=hostile) == hostile
    assert queries.echo(conn, text=None) is None
    assert queries.nothing(conn) is None


def test_script_then_number_of_affected_rows(queries: Any, conn: Connection) -> None:
    queries.make(conn)
    assert queries.forget(conn, least=4) == 2


async def test_async_twins_give_the_same(file: Path, aconn: AsyncConnection) -> None:
    queries = load_async("example", file)
    assert [row["n"] async for row in queries.numbers(aconn, least=2)] == [2, 3]
    assert await queries.number(aconn, wanted=2) == {"n": 2}
    assert await queries.number(aconn, wanted=9) is None
    assert await queries.echo(aconn, text="x") == "x"
    assert await queries.echo(aconn, text=None) is None
    assert await queries.nothing(aconn) is None
    await queries.make(aconn)
    assert await queries.forget(aconn, least=4) == 2


def test_file_is_read_once(file: Path) -> None:
    assert load("example", file) is load("example", file)


def test_missing_file_query_and_parameter_are_named(
    queries: Any, file: Path, conn: Connection
) -> None:
    with pytest.raises(SQLLoadException, match=r"missing\.sql"):
        load("missing", file)
    with pytest.raises(AttributeError, match="no_such_query"):
        queries.no_such_query(conn)
    with pytest.raises(Exception, match="least"):
        queries.numbers(conn)


@pytest.mark.parametrize("path", sorted(QUERIES.glob("*.sql")), ids=lambda path: path.stem)
def test_every_file_of_ours_loads(path: Path) -> None:
    assert load(path.stem).available_queries
    assert load_async(path.stem).available_queries
