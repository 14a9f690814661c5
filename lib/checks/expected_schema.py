"""What the migrations make, and the SQL that makes it: for saying how to repair what is gone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lib.database.migrations import MIGRATIONS

# What may hold a semicolon that ends no statement: comments, strings, bodies of functions.
_TOKEN = re.compile(
    r"--[^\n]*|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|\bbegin atomic\b.*?\bend(?=\s*;)|;",
    re.DOTALL | re.IGNORECASE,
)
_BEFORE = re.compile(r"(?:\s|--[^\n]*\n)*")
_CREATES = re.compile(
    r"create (?:or replace )?(?P<kind>table|view|function) (?:if not exists )?public\.(?P<name>\w+)"
    r"|create trigger (?P<trigger>\w+)\b.*?\bon public\.(?P<table>\w+)"
    r'|create policy "(?P<policy>[^"]+)"\s+on public\.(?P<of>\w+)',
    re.DOTALL,
)
_DROPS = re.compile(r"drop (?P<kind>table|view|function) (?:if exists )?public\.(?P<name>\w+)")
_RENAMES = re.compile(
    r"alter function public\.(?P<name>\w+)\([^)]*\) rename to (?P<new>\w+)", re.DOTALL
)
_CHANGES = re.compile(
    r"(?:alter|grant execute on|revoke execute on) function public\.(?P<name>\w+)"
)


@dataclass(slots=True)
class Definition:
    """One object of schema public: the file that made it last, and the statements for it.

    `kind` is table, view, function, trigger or policy, `table` that of a trigger or a policy.
    """

    kind: str
    name: str
    file: str
    table: str | None = None
    statements: list[str] = field(default_factory=list)

    def sql(self) -> str:
        """The SQL that makes the object again, open to nobody who should not have it."""
        made, *changed = self.statements
        access = {
            "function": [
                f"revoke execute on function public.{self.name} from public, anon, authenticated;",
                f"grant execute on function public.{self.name} to service_role;",
            ],
            "view": [
                f"revoke all on public.{self.name} from public, anon, authenticated;",
                f"grant select on public.{self.name} to service_role;",
            ],
        }.get(self.kind, [])
        return "\n".join([made, *access, *changed])


@cache
def definitions(folder: Path = MIGRATIONS) -> dict[tuple[str, str], Definition]:
    """All objects that are left once every migration of the folder is applied, by kind and name."""
    found: dict[tuple[str, str], Definition] = {}
    for path in sorted(folder.glob("*.sql")):
        for statement in statements(path.read_text(encoding="utf-8")):
            _note(found, path.name, statement)
    return found


def _note(found: dict[tuple[str, str], Definition], file: str, statement: str) -> None:
    if match := _CREATES.match(statement):
        kind = match["kind"] or ("trigger" if match["trigger"] else "policy")
        name = match["name"] or match["trigger"] or match["policy"]
        table = match["table"] or match["of"]
        if kind == "function" and (kind, name) in found and "or replace" in statement[:20]:
            # What was granted before stays; options that SET gave do not.
            found[kind, name].file = file
            found[kind, name].statements[0] = statement
        else:
            found[kind, name] = Definition(kind, name, file, table, [statement])
    elif match := _DROPS.match(statement):
        found.pop((match["kind"], match["name"]), None)
    elif match := _RENAMES.match(statement):
        old, new = f"public.{match['name']}(", f"public.{match['new']}("
        renamed = found.pop(("function", match["name"]))
        renamed.name = match["new"]
        renamed.statements = [made.replace(old, new, 1) for made in renamed.statements]
        found["function", match["new"]] = renamed
    elif (match := _CHANGES.match(statement)) and ("function", match["name"]) in found:
        found["function", match["name"]].statements.append(statement)


def statements(text: str) -> Iterator[str]:
    """The statements of an SQL file, each from its first word to its semicolon."""
    start = 0
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            begins = _BEFORE.match(text, start)
            yield text[begins.end() if begins else start : token.end()]
            start = token.end()
