"""Rows as PostgREST reads them: in the caller's role, with the claims of its token."""

import json
from typing import Any

from psycopg import sql

from lib.database import connect

Caller = tuple[str, dict[str, Any]]
"""Role and claims."""


def visible_rows(
    database: str,
    caller: Caller,
    table: str,
    columns: sql.Composable,
    filters: list[tuple[str, str]],
) -> str:
    """The rows that a caller may see, as JSON; `filters` are columns and the text they equal.

    Raises errors.InsufficientPrivilege.
    """
    role, claims = caller
    query = sql.SQL(
        "select coalesce(json_agg(r), '[]')::text as rows from"
        " (select {} from public.{} where {}) r"
    ).format(
        columns,
        sql.Identifier(table),
        sql.SQL(" and ").join(
            sql.SQL("{}::text = {}").format(sql.Identifier(name), value) for name, value in filters
        ),
    )
    with connect(database) as db, db.transaction():
        db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        db.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        row = db.execute(query).fetchone()
        assert row is not None
        return str(row["rows"])
