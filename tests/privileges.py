"""Tries what each role can do to each object of schema public, as that role, and undoes it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from psycopg import Error, errors, sql

from lib.database import load
from lib.database.pool import Connection

FOLDER = Path(__file__).parent / "sql"
queries = load("privileges", FOLDER)


class Caller(NamedTuple):
    """Who asks: a database role, and the user whom the request's JWT names."""

    role: str
    user: str | None = None


A = "aaaaaaaa-0000-0000-0000-000000000000"
B = "bbbbbbbb-0000-0000-0000-000000000000"
CALLERS = {
    "anon": Caller("anon"),
    "user A": Caller("authenticated", A),
    "user B": Caller("authenticated", B),
    "service_role": Caller("service_role"),
}
READ = sql.SQL("select to_jsonb(r)::text as row from {name} r")
INSERT = sql.SQL(
    "insert into {name} ({inserted}) overriding system value"
    " select {inserted} from jsonb_populate_record(null::{name}, {row})"
)
UPDATE = sql.SQL("update {name} r set {updated} = {updated} returning to_jsonb(r)::text as row")
DELETE = sql.SQL("delete from {name} r returning to_jsonb(r)::text as row")
TRUNCATE = sql.SQL("truncate {name}")
USES_OF_SEQUENCE = {
    "read": sql.SQL("select last_value from {name}"),
    "next value": sql.SQL("select nextval({text})"),
    "set value": sql.SQL("select setval({text}, 1)"),
}
CALL = sql.SQL("select {name}({user})")
NOT_POSSIBLE = (errors.FeatureNotSupported, errors.ObjectNotInPrerequisiteState)
"""Nobody can do that, such as inserting into a view that groups."""

Access = dict[str, str]
"""What is not refused, each with whose rows it reaches (empty where there are no rows)."""
Privileges = dict[tuple[str, str], dict[str, Access]]
"""The access of each caller to each object, given by its kind and its name."""


def privileges(conn: Connection) -> Privileges:
    """Try everything as everybody, on a database that holds the rows of two_users.sql."""
    found: Privileges = {}
    for relation in queries.relations(conn):
        tried = access_to_sequence if relation["kind"] == "sequence" else access_to_rows
        found[relation["kind"], relation["name"]] = {
            who: tried(conn, caller, relation) for who, caller in CALLERS.items()
        }
    for function in queries.functions(conn):
        found["function", function["signature"]] = {
            who: access_to_function(conn, caller, function) for who, caller in CALLERS.items()
        }
    return found


def rows_seen(conn: Connection, caller: Caller) -> dict[str, list[str]]:
    """Return the rows, as text, that somebody reads in each table and view."""
    return {
        relation["name"]: attempt(conn, caller, READ.format(name=identifier(relation))) or []
        for relation in queries.relations(conn)
        if relation["kind"] != "sequence"
    }


def attempt(
    conn: Connection,
    caller: Caller,
    statement: sql.Composed,
    later: tuple[type[Error], ...] = (),
) -> list[Any] | None:
    """Run a statement as somebody and undo it: its rows, or None when it is refused.

    `later` are errors that come only after the permission was found.
    """
    claims = {"role": caller.role} | ({"sub": caller.user} if caller.user else {})
    try:
        with conn.transaction(force_rollback=True):
            # Permission alone decides, not a foreign key.
            conn.execute("set local session_replication_role = replica")
            conn.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
            conn.execute(sql.SQL("set local role {}").format(sql.Identifier(caller.role)))
            cursor = conn.execute(statement)
            return [next(iter(row.values())) for row in cursor] if cursor.description else []
    except later:
        return []
    except (errors.InsufficientPrivilege, *NOT_POSSIBLE):
        return None


def access_to_rows(conn: Connection, caller: Caller, relation: dict[str, Any]) -> Access:
    name = identifier(relation)
    every = [row["row"] for row in conn.execute(READ.format(name=name))]
    of_a, of_b = (sum(user in row for row in every) for user in (A, B))
    if not every or of_a != of_b:
        pytest.fail(
            f"To try {relation['name']}, it needs a row of user A and one of user B, or one of"
            " neither: add them to tests/sql/two_users.sql."
        )
    updated = sql.Identifier(relation["updated"])
    reached = {
        "read": attempt(conn, caller, READ.format(name=name)),
        "insert": inserted(conn, caller, relation, every),
        "update": attempt(conn, caller, UPDATE.format(name=name, updated=updated)),
        "delete": attempt(conn, caller, DELETE.format(name=name)),
    }
    access = {
        action: whose(rows, every, caller) for action, rows in reached.items() if rows is not None
    }
    if relation["kind"] == "table":
        truncated = attempt(conn, caller, TRUNCATE.format(name=name), (errors.FeatureNotSupported,))
        access |= {} if truncated is None else {"truncate": "all rows"}
    return access


def inserted(
    conn: Connection, caller: Caller, relation: dict[str, Any], every: list[str]
) -> list[str] | None:
    """Return which of the rows somebody may insert, None when none."""
    columns = sql.SQL(", ").join(map(sql.Identifier, relation["inserted"]))
    insert = {
        row: INSERT.format(name=identifier(relation), inserted=columns, row=sql.Literal(row))
        for row in every
    }
    return [
        row
        for row in every
        if attempt(conn, caller, insert[row], (errors.IntegrityError,)) is not None
    ] or None


def whose(rows: list[str], every: list[str], caller: Caller) -> str:
    if len(rows) == len(every):
        return "all rows"
    if not rows:
        return "no rows"
    own = sum(caller.user in row for row in every) if caller.user else 0
    only_own = all(caller.user in row for row in rows) if caller.user else False
    return "own rows" if only_own and len(rows) == own else "some rows"


def access_to_sequence(conn: Connection, caller: Caller, relation: dict[str, Any]) -> Access:
    name = identifier(relation)
    text = sql.Literal(name.as_string())
    return {
        use: ""
        for use, statement in USES_OF_SEQUENCE.items()
        if attempt(conn, caller, statement.format(name=name, text=text)) is not None
    }


def access_to_function(conn: Connection, caller: Caller, function: dict[str, Any]) -> Access:
    if not queries.may_execute(conn, role=caller.role, function=function["oid"]):
        return {}
    if not function["of_a_user"]:
        return {"run": ""}
    name = identifier(function)
    answered = [
        user
        for user in (A, B)
        if attempt(conn, caller, CALL.format(name=name, user=sql.Literal(user))) is not None
    ]
    return {"run": "own user" if answered == [caller.user] else "" if answered else "no user"}


def identifier(found: dict[str, Any]) -> sql.Identifier:
    return sql.Identifier("public", found["name"])
