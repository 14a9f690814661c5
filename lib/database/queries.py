"""The named queries of an SQL file as functions, by aiosql.

In a file, `-- name: newest_jobs(status, limit)` starts a query; a suffix sets what it returns:
no suffix the rows, `^` one row or None, `$` one value or None, `!` the number of affected rows,
`#` the status of a script without parameters. Parameters are `:name` in SQL and keywords in
Python: `load("jobs").newest_jobs(connection, status="failed", limit=50)`.

Pitfalls in the SQL: `%` is written `%%` (except in a script); a nullable parameter
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
    """The queries of `<folder>/<name>.sql` as functions that take a connection; cached.

    Rows are returned as a list. Raises aiosql's SQLLoadException or SQLParseException if the file
    is missing or malformed.
    """
    return aiosql.from_path(folder / f"{name}.sql", EagerAdapter, mandatory_parameters=False)


@cache
def load_async(name: str, folder: Path = QUERIES) -> Any:
    """The same functions for async connections.

    Await them, but iterate over rows: `[row async for row in q.newest_jobs(c)]`.
    """
    return aiosql.from_path(folder / f"{name}.sql", AsyncDictAdapter, mandatory_parameters=False)


class EagerAdapter(PyFormatAdapter):
    """aiosql's adapter, but with rows fetched eagerly.

    The original is a generator: it would run after its connection was returned to the pool.
    """

    def select(self, *args: Any, **kwargs: Any) -> Any:
        """Run the query and return the list of its rows."""
        return list(super().select(*args, **kwargs))


class AsyncDictAdapter(AsyncPyFormatAdapter):
    """aiosql's adapter, but with support for single values from dict rows."""

    async def select_value(self, conn: Any, query_name: str, sql: str, parameters: Any) -> Any:
        """Run the query and return the first column of the first row; None without rows."""
        row = await (await conn.execute(sql, parameters)).fetchone()
        return next(iter(row.values())) if row else None
