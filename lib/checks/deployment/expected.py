"""What a complete database has, beyond what can be read from the migrations.

Tables, columns, functions, views and triggers are read from the files themselves; every table
and function follows the usual rule unless it is named here, so that a new one needs no entry.
The rule: service_role reads and writes every table, by the policy SERVICE, reads every view and
runs every function; anon and authenticated may do nothing.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from lib.checks.expected_schema import definitions, statements
from lib.database.migrations import MIGRATIONS

SERVICE = "Service role has full access"
WRITES = ("select", "insert", "update", "delete")

APPEND_ONLY = frozenset({"audit_log"})
"""Tables of which nobody may change or delete a row."""

READABLE = {
    "job_queue": (("authenticated",), "Users can view their own jobs"),
    "image_generations": (("authenticated",), "Users can view their own generations"),
    "user_limits": (("authenticated",), "Users can view their own limits"),
    "models": (("anon", "authenticated"), "Everyone can view enabled models"),
}
"""Tables that users may read, with the policy that decides which rows."""

CALLABLE: Mapping[str, frozenset[str]] = {
    "get_user_limits": frozenset({"authenticated", "service_role"}),
    "net_responses": frozenset(),
}
"""Functions that others than service_role alone may run, with all who may; without any: the
owner, whose rights other functions have."""

JOB_QUEUE = {
    "id": "uuid",
    "job_type": "text",
    "payload": "jsonb",
    "status": "text",
    "attempts": "integer",
    "max_attempts": "integer",
    "scheduled_at": "timestamp with time zone",
    "started_at": "timestamp with time zone",
    "completed_at": "timestamp with time zone",
    "error_message": "text",
    "error_details": "jsonb",
    "created_by": "uuid",
    "priority": "integer",
    "created_at": "timestamp with time zone",
    "updated_at": "timestamp with time zone",
}
"""The columns of job_queue with their types: exactly these, because other tools rely on them."""

_TABLE = re.compile(
    r"create table (?:if not exists )?public\.(?P<table>\w+) \((?P<body>.*?)\n\)", re.S
)
_ALTER = re.compile(r"alter table public\.(?P<table>\w+)\s(?P<body>.*);", re.S)
_ADDED = re.compile(r"add column (?:if not exists )?(?P<column>.*)", re.S)
_NO_COLUMN = ("primary", "unique", "check", "foreign", "constraint", "exclude", "like")


def names(kind: str) -> list[str]:
    """All objects of a kind (table, view, function) that the migrations leave."""
    return [name for (of, name) in definitions() if of == kind]


@cache
def columns() -> dict[str, dict[str, str]]:
    """For every table its columns, each as it is defined: name, type and what it is bound to."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(MIGRATIONS.glob("*.sql")):
        for statement in statements(path.read_text(encoding="utf-8")):
            if made := _TABLE.match(statement):
                found[made["table"]] = _columns(_parts(made["body"]))
            elif altered := _ALTER.match(statement):
                added = map(_ADDED.match, _parts(altered["body"]))
                found[altered["table"]] |= _columns(match["column"] for match in added if match)
    return {table: found[table] for table in names("table")}


def _columns(parts: Iterator[str]) -> dict[str, str]:
    return {part.split()[0]: part for part in parts if part.split()[0] not in _NO_COLUMN}


def _parts(body: str) -> Iterator[str]:
    """What the commas outside of parentheses and strings separate, without comments."""
    text = re.sub(r"--[^\n]*", "", body)
    depth, quoted, start = 0, False, 0
    for at, sign in enumerate(text):
        quoted ^= sign == "'"
        depth += 0 if quoted else (sign == "(") - (sign == ")")
        if sign == "," and depth == 0 and not quoted:
            yield " ".join(text[start:at].split())
            start = at + 1
    yield " ".join(text[start:].split())
