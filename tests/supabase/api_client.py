"""A client of a project's API: statements as PostgREST makes them, with its role and claims."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from lib.database.pool import Connection

Row = dict[str, Any]


class ApiClient:
    """Calls by name and changes of rows, each in a transaction of its own.

    A signed-in user, or without `user` the holder of the secret key.
    """

    def __init__(self, db: Connection, user: UUID | None = None) -> None:
        self._db = db
        self._role = "authenticated" if user else "service_role"
        self._claims = {"role": self._role} | ({"sub": str(user)} if user else {})

    def rpc(self, function: str, **arguments: Any) -> Any:
        """The value that a function returns; a list of rows if it returns a set."""
        named = sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in arguments
        )
        call = sql.SQL("select * from public.{}({})").format(sql.Identifier(function), named)
        rows = self._run(call, arguments)
        if rows and list(rows[0]) == [function]:
            return rows[0][function]
        return rows

    def select(self, table: str, **equal: Any) -> list[Row]:
        """The rows of a table or view that the client sees, all columns."""
        return self._run(sql.SQL("select * from public.{}{}").format(*_target(table, equal)), equal)

    def update(self, table: str, values: Mapping[str, Any], **equal: Any) -> list[Row]:
        """The changed rows."""
        assigned = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
            for name, value in values.items()
        )
        name, where = _target(table, equal)
        update = sql.SQL("update public.{} set {}{} returning *").format(name, assigned, where)
        return self._run(update, equal)

    def run(self, statement: str, *values: Any) -> list[Row]:
        """The rows of any other statement."""
        return self._run(sql.SQL(statement), values)

    def _run(self, statement: sql.Composable, values: Any) -> list[Row]:
        if isinstance(values, dict):
            values = {
                name: Jsonb(value) if isinstance(value, dict) else value
                for name, value in values.items()
            }
        with self._db.transaction():
            self._db.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [self._role, json.dumps(self._claims)],
            )
            cursor = self._db.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


def _target(table: str, equal: Mapping[str, Any]) -> tuple[sql.Composable, sql.Composable]:
    conditions = sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in equal
    )
    where = sql.SQL(" where {}").format(conditions) if equal else sql.SQL("")
    return sql.Identifier(table), where
