"""Makes lib/checks/schema.json: the migrated schema, and where each object's statements stand."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psycopg import errors

from lib.database import load
from lib.database.migrations import MIGRATIONS
from lib.database.pool import Connection

NOTE_DDL = """
create schema snapshot;
create table snapshot.made (id bigint);
create function snapshot.note() returns event_trigger language plpgsql as $$
begin
    insert into snapshot.made select objid from pg_event_trigger_ddl_commands()
    where coalesce(schema_name, 'public') = 'public'
      and command_tag ~ '^(CREATE|ALTER) (TABLE|VIEW|FUNCTION|TRIGGER)';
end;
$$;
create event trigger snapshot_note on ddl_command_end execute function snapshot.note();
"""
MADE = "with made as (delete from snapshot.made returning id) select distinct id from made"

Place = tuple[str, int, int]
"""A statement in the migrations: file, first and last line."""


def snapshot(conn: Connection) -> dict[str, dict[str, Any]]:
    """Migrate a bootstrapped database, statement by statement, and describe it."""
    conn.execute(NOTE_DDL.encode())
    places: dict[int, list[Place]] = defaultdict(list)
    for path in sorted(MIGRATIONS.glob("*.sql")):
        with conn.transaction():
            apply(conn, path, places)
    return described(conn, places)


def described(conn: Connection, places: dict[int, list[Place]]) -> dict[str, dict[str, Any]]:
    """The schema of a database, as the snapshot has it."""
    schema: dict[str, dict[str, Any]] = defaultdict(dict)
    with conn.transaction(force_rollback=True):
        # Names in expressions are written with their schema, whoever asks.
        conn.execute("set local search_path = ''")
        queries = load("schema")
        for row in [*queries.objects(conn), *queries.indexes(conn)]:
            at = {"at": places[row["id"]]} if row["id"] in places else {}
            schema[row["kind"]][row["name"]] = row["details"] | at
    return schema


def without_places(schema: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A schema without where its statements stand."""
    return {
        kind: {name: {**details, "at": None} for name, details in objects.items()}
        for kind, objects in schema.items()
    }


def as_text(schema: dict[str, dict[str, Any]]) -> str:
    """The snapshot as JSON, one line for each object."""
    kinds = []
    for kind, objects in sorted(schema.items()):
        lines = [
            f"{json.dumps(name)}: {json.dumps(details, sort_keys=True, ensure_ascii=False)}"
            for name, details in sorted(objects.items())
        ]
        kinds.append(f"{json.dumps(kind)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(kinds) + "\n}\n"


def apply(conn: Connection, path: Path, places: dict[int, list[Place]]) -> None:
    """Apply a migration and note where each statement that makes or alters an object stands.

    PostgreSQL itself says where a statement ends: up to there the text is a syntax error.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    first = 0
    for last, line in enumerate(lines, 1):
        while first < last and (not lines[first].strip() or lines[first].startswith("--")):
            first += 1
        if not line.rstrip().endswith(";") or not executed(conn, lines[first:last]):
            continue
        made = [row["id"] for row in conn.execute(MADE).fetchall()]
        # A loop makes many objects, so that its text is none's.
        if not lines[first].startswith("do "):
            for each in made:
                places[each].append((path.name, first + 1, last))
        first = last
    assert not "".join(lines[first:]).strip(), f"{path.name} ends within a statement."


def executed(conn: Connection, lines: list[str]) -> bool:
    try:
        with conn.transaction():
            conn.execute("\n".join(lines).encode())
    except errors.SyntaxError:
        return False
    return True
