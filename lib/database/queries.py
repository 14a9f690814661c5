"""The named queries of an SQL file as functions, by aiosql.

In a file, `-- name: newest_jobs(status, limit)` starts a query; a suffix says what it gives:
none the rows, `^` one row or None, `$` one value or None, `!` the number of affected rows,
`#` the status of a script without parameters. Parameters are `:name` in SQL and keywords in
Python: `load("jobs").newest_jobs(connection, status="failed", limit=50)`.

Beware, in the SQL: `%` is written `%%` (except in a script); a parameter that may be null
needs a cast (`:status::text is null`); an array slice `a[1:2]` reads as a parameter; no
apostrophe in a comment that follows SQL on its line.
"""

from functools import cache
from pathlib import Path
from typing import Any

import aiosql
from aiosql.adapters.apyformat import AsyncPyFormatAdapter
from aiosql.adapters.pyformat import PyFormatAdapter

QUERIES = Path(__file__).parents[2] / "queries"


@cache
def load(name: str, folder: Path = QUERIES) -> Any:
    """Return the queries of `<folder>/<name>.sql` as functions of a connection, read once.

    Rows come as a list. Raises aiosql's SQLLoadException or SQLParseException when the
    file is missing or malformed.
    """
    return aiosql.from_path(folder / f"{name}.sql", EagerAdapter, mandatory_parameters=False)


@cache
def load_async(name: str, folder: Path = QUERIES) -> Any:
    """Return the same functions for async connections.

    All are awaited, except that rows are iterated: `[row async for row in q.newest_jobs(c)]`.
    """
    return aiosql.from_path(folder / f"{name}.sql", AsyncDictAdapter, mandatory_parameters=False)


class EagerAdapter(PyFormatAdapter):
    """aiosql's adapter, but rows are fetched when the query is called.

    The original is a generator: it would run after its connection went back to the pool.
    """

    def select(self, *args: Any, **kwargs: Any) -> Any:
        """Run the query and return the list of its rows."""
        return list(super().select(*args, **kwargs))


class AsyncDictAdapter(AsyncPyFormatAdapter):
    """aiosql's adapter, but a value is also found in a dict row."""

    async def select_value(self, conn: Any, query_name: str, sql: str, parameters: Any) -> Any:
        """Run the query and return the first column of its first row, None without rows."""
        row = await (await conn.execute(sql, parameters)).fetchone()
        return next(iter(row.values())) if row else None
