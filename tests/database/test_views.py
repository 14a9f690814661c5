"""The views and functions that pages read are documented: docs/views.md shows their comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from generated import command, shown

from lib.database.migrations import MIGRATIONS
from lib.database.pool import Connection

WRITE = command("tests/database/test_views.py")
MADE = re.compile(r"^create (view|function) public\.(\w+)", re.M)
COLUMN = re.compile(r"^- (\w+): (.+)$", re.M)
SAME_COLUMNS = re.compile(r"^Columns: as (\w+)\.$", re.M)
VIEW = """
select
    obj_description(c.oid, 'pg_class') as comment, '' as arguments, c.reloptions as options,
    array(
        select array[a.attname::text, format_type(a.atttypid, null)] from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 order by a.attnum
    ) as columns
from pg_class c where c.oid = ('public.' || %s)::regclass
"""
FUNCTION = """
select
    obj_description(p.oid, 'pg_proc') as comment, pg_get_function_arguments(p.oid) as arguments,
    p.proconfig as options,
    array(
        select array[a.name, format_type(a.type, null)]
        from unnest(p.proargnames, p.proallargtypes, p.proargmodes) with ordinality
            as a (name, type, mode, place)
        where a.mode = 't' order by a.place
    ) as columns
from pg_proc p where p.oid = ('public.' || %s)::regproc
"""


@dataclass(frozen=True)
class Documented:
    """A view or a function with its comment and its columns, each with its type."""

    kind: str
    name: str
    comment: str
    arguments: str
    options: list[str]
    columns: list[tuple[str, str]]

    @property
    def question(self) -> str:
        return self.comment.partition("\n\n")[0]

    @property
    def parameters(self) -> str:
        found = re.search(r"^Parameters: (.+)$", self.comment, re.M)
        return found[1] if found else ""

    @property
    def cost(self) -> str:
        found = re.search(r"^Cost: (.+)$", self.comment, re.M)
        return found[1] if found else ""

    @property
    def meanings(self) -> dict[str, str]:
        return dict(COLUMN.findall(self.comment))

    @property
    def same_columns_as(self) -> str | None:
        found = SAME_COLUMNS.search(self.comment)
        return found[1] if found else None


def names() -> Iterator[tuple[str, str]]:
    for path in sorted(MIGRATIONS.glob("*views.sql")):
        yield from MADE.findall(path.read_text())


@pytest.fixture
def documented(db: Connection) -> dict[str, Documented]:
    found = {}
    for kind, name in names():
        [row] = db.execute(VIEW if kind == "view" else FUNCTION, [name]).fetchall()
        row["columns"] = [(column, of) for column, of in row["columns"]]
        found[name] = Documented(kind, name, **row)
    return found


def test_every_column_is_described(documented: dict[str, Documented]) -> None:
    assert len(documented) > 20
    for name, found in documented.items():
        assert found.question.endswith(("?", ".", ":")), name
        assert "?" in found.question, name
        assert found.cost, name
        if other := found.same_columns_as:
            assert found.columns == documented[other].columns, name
        else:
            assert list(found.meanings) == [column for column, _ in found.columns], name


def test_views_have_the_rights_of_their_reader(documented: dict[str, Documented]) -> None:
    for found in documented.values():
        if found.kind == "view":
            assert found.options == ["security_invoker=true"], found.name


def test_parameters_are_described(documented: dict[str, Documented]) -> None:
    for found in documented.values():
        for parameter in re.findall(r"\bp_\w+(?= )", found.arguments):
            assert parameter in found.parameters, (found.name, parameter)


def test_the_documentation_shows_them(documented: dict[str, Documented]) -> None:
    now = as_text(documented)
    assert shown("views", now) == now, f"After a change, run {WRITE}."


def as_text(documented: dict[str, Documented]) -> str:
    parts = [
        f"## {title}\n\n{introduction}\n\n"
        + "\n".join(section(found) for found in documented.values() if found.kind == kind)
        for kind, title, introduction in (
            ("view", "Views", "Each covers the default time range of its page."),
            (
                "function",
                "Functions",
                "Called with `select * from`, for other ranges and for one model or user.",
            ),
        )
    ]
    return "\n".join(parts)


def section(found: Documented) -> str:
    lines = [f"### {found.name}", "", found.question, ""]
    if found.arguments:
        lines += [f"`{found.name}({found.arguments})`", ""]
    if found.parameters:
        lines += [f"Parameters: {found.parameters}", ""]
    if found.same_columns_as:
        link = f"[{found.same_columns_as}](#{found.same_columns_as})"
        lines += [f"Columns: those of {link}.", ""]
    elif found.columns:
        lines += ["| Column | Type | Meaning |", "|---|---|---|"]
        lines += [
            f"| `{column}` | {of.replace('timestamp with time zone', 'timestamptz')} |"
            f" {found.meanings.get(column, '')} |"
            for column, of in found.columns
        ]
        lines += [""]
    lines += [f"Cost: {found.cost}", ""]
    return "\n".join(lines)
