"""What a database lacks of the schema that the migrations make, with the SQL that repairs it.

schema.json holds that schema as the queries of queries/schema.sql see it in a freshly migrated
database, and where in the migrations each object's statements stand: `at`, a list of [file, first
line, last line]. It is written, and kept true, by tests/checks/test_expected_schema.py.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lib.database.migrations import MIGRATIONS

Details = Mapping[str, Any]
Schema = Mapping[str, Mapping[str, Details]]
"""Objects by kind (table, view, function, trigger, policy, index) and name."""
Area = Literal["tables", "views", "functions", "triggers", "row-security", "grants", "indexes"]
SNAPSHOT = Path(__file__).with_name("schema.json")
KINDS = ("table", "view", "function", "trigger", "policy", "index")
EXACT_TABLE = "job_queue"
"""The table whose columns are exactly ours, types too, because other tools rely on them.

Other tables of an existing deployment keep their columns and types."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the migrations make it.

    `text` says what, without a full stop; `sql` repairs it. `name` is the key in the snapshot.
    """

    area: Area
    kind: str
    name: str
    text: str
    sql: str
    missing: bool = False


@cache
def expected() -> Schema:
    """The schema that the migrations of this version make."""
    schema: Schema = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return schema


def as_schema(rows: Iterable[Mapping[str, Any]]) -> Schema:
    """Rows of queries/schema.sql as a schema."""
    schema: dict[str, dict[str, Details]] = {kind: {} for kind in KINDS}
    for row in rows:
        schema[row["kind"]][row["name"]] = row["details"]
    return schema


def differences(rows: Iterable[Mapping[str, Any]], *kinds: str) -> list[Difference]:
    """Compare a database with the snapshot: all kinds but indexes, or those named.

    `rows` are those of queries/schema.sql in that database. Objects of others are ignored.
    """
    found = as_schema(rows)
    return [
        difference
        for kind in kinds or KINDS[:-1]
        for name, wanted in expected()[kind].items()
        for difference in _compare(kind, name, wanted, found)
    ]


def create(kind: str, name: str) -> str:
    """SQL that makes an object, with its rights. For a table: policies too, but not its indexes."""
    wanted = expected()[kind][name]
    match kind:
        case "policy":
            return _create_policy(wanted)
        case "index":
            return f"{wanted['definition']};"
        case "trigger":
            return _statements(wanted)
        case "function":
            return f"{_statements(wanted)}\n{_function_rights(name, wanted)}"
    rights = [_relation_rights(name, role, wanted) for role in wanted["rights"]]
    if kind == "table":
        secured = f"alter table public.{name} enable row level security;"
        policies = expected()["policy"].values()
        rights = [secured, *rights, *(_create_policy(p) for p in policies if p["table"] == name)]
    return "\n".join([_statements(wanted), *rights])


def restore(kind: str, name: str) -> str:
    """SQL that makes an existing function, view or trigger again as the migrations make it."""
    if kind == "function":
        # What depends on it stays, as long as its result has the same type.
        return create(kind, name).replace("create function", "create or replace function", 1)
    on_table = name if kind == "trigger" else f"public.{name}"
    drop = f"drop {kind} if exists {on_table.replace(' on ', ' on public.')};"
    return f"{drop}\n{create(kind, name)}"


def function(name: str) -> str:
    """The name with signature of one of our functions."""
    [found] = [full for full in expected()["function"] if full.startswith(f"{name}(")]
    return found


def sources_at(kind: str, name: str) -> list[list[Any]]:
    """Where the migrations make an object: file and lines, sortable; empty where they do not."""
    return list(expected().get(kind, {}).get(name, {}).get("at", []))


def sources(kind: str, name: str) -> list[str]:
    """The migration files with an object's statements, such as "supabase/migrations/….sql"."""
    at = expected()[kind][name].get("at", [])
    return list(dict.fromkeys(f"supabase/migrations/{file}" for file, *_ in at))


def _compare(kind: str, name: str, wanted: Details, here: Schema) -> Iterator[Difference]:
    found = here[kind].get(name)
    if found is None:
        # The SQL for a missing table makes its policies too.
        if kind != "policy" or wanted["table"] in here["table"]:
            yield _missing(kind, name)
        return
    match kind:
        case "table":
            yield from _columns(name, wanted["columns"], found["columns"])
            if not found["secured"]:
                sql = f"alter table public.{name} enable row level security;"
                text = f"row-level security of {name} is off"
                yield Difference("row-security", kind, name, text, sql)
            yield from _relation_right_faults(kind, name, wanted, found)
        case "view":
            if not found["invoker"]:
                sql = f"alter view public.{name} set (security_invoker = true);"
                text = f"{name} bypasses row-level security"
                yield Difference("views", kind, name, text, sql)
            if found["columns"].keys() != wanted["columns"].keys():
                text = f"view {name} has different columns"
                yield Difference("views", kind, name, text, restore(kind, name))
            yield from _relation_right_faults(kind, name, wanted, found)
        case "function":
            if any(found[key] != wanted[key] for key in ("hash", "options", "definer")):
                text = f"function {_short(name)} has been changed"
                yield Difference("functions", kind, name, text, restore(kind, name))
            yield from _function_right_faults(name, wanted, found)
        case "trigger" if not found["enabled"]:
            sql = f"alter table public.{wanted['table']} enable trigger {wanted['trigger']};"
            yield Difference("triggers", kind, name, f"trigger {name} is disabled", sql)
        case "index" if not found["valid"]:
            sql = f"drop index public.{name};\n{create(kind, name)}"
            yield Difference("indexes", kind, name, f"index {name} is invalid", sql)


def _missing(kind: str, name: str) -> Difference:
    areas: dict[str, Area] = {
        "table": "tables", "view": "views", "function": "functions", "trigger": "triggers",
        "policy": "row-security", "index": "indexes",
    }  # fmt: skip
    sql = "\n".join([*(f"-- from {file}" for file in sources(kind, name)), create(kind, name)])
    if kind == "table":
        sql += "\n-- Its indexes are in that file. Its rows can only be restored from a backup."
    return Difference(areas[kind], kind, name, f"{kind} {_short(name)} is missing", sql, True)


def _columns(table: str, wanted: Details, found: Details) -> Iterator[Difference]:
    for column, (type_name, rest) in wanted.items():
        text, sql, alter = "", "", f"alter table public.{table}"
        if column not in found:
            text = f"{table} lacks the column {column}"
            sql = f"{alter} add column {column} {type_name} {rest}".rstrip() + ";"
            for columns, definition in expected()["table"][table]["constraints"]:
                if column in columns:
                    sql += f"\n{alter} add {definition};"
        elif table == EXACT_TABLE and (found_type := found[column][0]) != type_name:
            text = f"{table}.{column} is {found_type}, not {type_name}"
            sql = f"{alter} alter column {column} type {type_name} using {column}::{type_name};"
        if text:
            yield Difference("tables", "table", table, text, sql)
    if table == EXACT_TABLE:
        for column in found.keys() - wanted.keys():
            text = f"{table} has an unknown column {column}"
            sql = (
                "-- This version does not read it. Dropping it deletes its data:\n"
                f"-- alter table public.{table} drop column {column};"
            )
            yield Difference("tables", "table", table, text, sql)


def _relation_right_faults(
    kind: str, name: str, wanted: Details, found: Details
) -> Iterator[Difference]:
    for role, rights in wanted["rights"].items():
        has, sql = set(found["rights"].get(role, ())), _relation_rights(name, role, wanted)
        excess = has - set(rights)
        if role == "service_role":
            # It has every right in older projects; only what must not be changed is guarded.
            guarded = kind == "table" and "update" not in rights
            excess &= {"update", "delete", "truncate"} if guarded else set()
        for right in set(rights) - has:
            text = f"{role} may not {right} {name}"
            yield Difference("grants", kind, name, text, sql)
        for right in excess:
            yield Difference("grants", kind, name, f"{role} may {right} {name}", sql)


def _function_right_faults(name: str, wanted: Details, found: Details) -> Iterator[Difference]:
    has, needed = set(found["roles"]), set(wanted["roles"])
    for roles, may in ((has - needed, "may run"), (needed - has, "may not run")):
        if roles:
            text = f"{' and '.join(sorted(roles))} {may} {_short(name)}"
            yield Difference("grants", "function", name, text, _function_rights(name, wanted))


def _relation_rights(name: str, role: str, wanted: Details) -> str:
    # Also from public: every role inherits the privileges of public.
    sql = f"revoke all on public.{name} from public, {role};"
    rights = wanted["rights"][role]
    return f"{sql}\ngrant {', '.join(rights)} on public.{name} to {role};" if rights else sql


def _function_rights(name: str, wanted: Details) -> str:
    everybody = ", ".join(["public", "anon", "authenticated", "service_role"])
    sql = f"revoke execute on function public.{name} from {everybody};"
    if not wanted["roles"]:
        return sql
    return f"{sql}\ngrant execute on function public.{name} to {', '.join(wanted['roles'])};"


def _create_policy(wanted: Details) -> str:
    restrictive = "as restrictive " if wanted["restrictive"] else ""
    sql = (
        f'create policy "{wanted["policy"]}" on public.{wanted["table"]}\n'
        f"    {restrictive}for {wanted['command']} to {', '.join(wanted['roles'])}"
        f" using ({wanted['using']})"
    )
    return f"{sql} with check ({wanted['check']});" if wanted["check"] else f"{sql};"


def _statements(wanted: Details) -> str:
    """An object's statements, as they stand in the migrations."""
    return "\n".join(
        "\n".join((MIGRATIONS / file).read_text(encoding="utf-8").splitlines()[first - 1 : last])
        for file, first, last in wanted["at"]
    )


def _short(name: str) -> str:
    """A name without the arguments of a function."""
    return name.partition("(")[0]
