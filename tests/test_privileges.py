"""Who may do what in the database: what users may not, and the table of docs/privileges.md."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from generated import command, shown
from privileges import (
    CALLERS,
    FOLDER,
    A,
    Access,
    B,
    Privileges,
    privileges,
    queries,
    rows_seen,
)

from lib.database import connect, embedded
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply
from lib.database.pool import Connection

WRITE = command("tests/test_privileges.py")
INTRO = f"""\
As a test found by trying: "own rows" are those of the signed-in user, "some rows" of `models` are \
the enabled ones, – is refused. After a change, `{WRITE}` writes this table.

| Of schema `public` | anon | user A | user B | service_role |
|---|---|---|---|---|
"""
USERS = ("anon", "user A", "user B")
OWN = {
    "get_user_limits(uuid)": {"run": "own user"},
    # Of rows that the user reads.
    "images(image_generations)": {"run": ""},
}
"""The functions that users run, and for whom."""
ORDER = ("table", "view", "sequence", "function")
OPEN_DOORS = """
create table opened as select id from people;
grant all on opened to authenticated;
create table owned as select id from people;
alter table owned enable row level security;
create policy owners on owned to authenticated using ((select auth.uid()) = id);
grant select, insert, update, delete on owned to authenticated;
create view around as select id from owned;
grant select on around to anon;
create sequence numbers;
grant usage on numbers to anon;
create function greet(p_user_id uuid) returns text return 'hello';
"""


@pytest.fixture(scope="module", params=["new default grants", "old default grants"])
def migrated(
    request: pytest.FixtureRequest, postgres: embedded.EmbeddedPostgres
) -> Iterator[Connection]:
    """A migrated database with rows of two users, shared: what is tried there is undone."""
    name = request.param.replace(" ", "_")
    with connect(postgres.url) as admin:
        admin.execute(f"create database {name}")
    with connect(urlsplit(postgres.url)._replace(path=f"/{name}").geturl()) as conn:
        bootstrap(conn)
        if request.param == "old default grants":
            conn.execute((FOLDER / "old_default_grants.sql").read_bytes())
        apply(conn)
        conn.execute((FOLDER / "two_users.sql").read_bytes())
        yield conn


@pytest.fixture(scope="module")
def found(migrated: Connection) -> Privileges:
    """What everybody can do there."""
    return privileges(migrated)


def test_the_documentation_shows_what_happens(found: Privileges) -> None:
    table = shown("privileges", as_table(found))
    undecided = [name for _, name in found if f"`{name.partition('(')[0]}`" not in table]
    assert not undecided, (
        f"Nobody decided who may use {', '.join(undecided)}: in a migration revoke everything from"
        " public, anon, authenticated and service_role, grant what each needs, then run"
        f" {WRITE} and read what it wrote into docs/privileges.md."
    )
    assert as_table(found) == table, (
        f"docs/privileges.md says otherwise. If that is meant, run {WRITE}."
    )


def test_users_change_nothing(migrated: Connection, found: Privileges) -> None:
    for (kind, name), access in found.items():
        for who in USERS:
            assert kind == "function" or access[who].keys() <= {"read"}, f"{who} changes {name}"
    assert queries.grants_beyond_reading(migrated) == []


def test_users_see_own_rows_and_never_another_users(migrated: Connection) -> None:
    seen = {who: rows_seen(migrated, CALLERS[who]) for who in USERS}
    for who, others in [("anon", (A, B)), ("user A", (B,)), ("user B", (A,))]:
        for name, rows in seen[who].items():
            assert not any(user in row for row in rows for user in others), f"{who} in {name}"
    for who, user in [("user A", A), ("user B", B)]:
        own = {name for name, rows in seen[who].items() if any(user in row for row in rows)}
        assert own == {"job_queue", "image_generations", "outputs", "uploads", "user_limits"}


def test_users_run_only_what_shows_their_own_rows(migrated: Connection, found: Privileges) -> None:
    assert queries.executable_by_public(migrated) == []
    for (kind, name), access in found.items():
        if kind == "function":
            assert access["anon"] == {}, f"anon runs {name}"
            assert access["user A"] == access["user B"] == OWN.get(name, {}), f"users run {name}"


def test_users_use_no_sequence(found: Privileges) -> None:
    sequences = {name: access for (kind, name), access in found.items() if kind == "sequence"}
    assert "audit_log_id_seq" in sequences
    for name, access in sequences.items():
        assert all(access[who] == {} for who in USERS), name


def test_open_doors_are_found(db: Connection) -> None:
    db.execute((FOLDER / "two_users.sql").read_bytes())
    db.execute(OPEN_DOORS)
    opened = privileges(db)
    assert cell(opened["table", "opened"]["user A"]) == (
        "all rows: read, insert, update, delete, truncate"
    )
    assert cell(opened["table", "owned"]["user B"]) == "own rows: read, insert, update, delete"
    assert cell(opened["view", "around"]["anon"]) == "all rows: read"
    assert cell(opened["sequence", "numbers"]["anon"]) == "next value"
    assert cell(opened["function", "greet(uuid)"]["anon"]) == "run"
    assert any(A in row for row in rows_seen(db, CALLERS["user B"])["opened"])
    beyond = {row["object"] for row in queries.grants_beyond_reading(db)}
    assert beyond == {"opened", "owned", "numbers"}
    assert [row["function"] for row in queries.executable_by_public(db)] == ["greet(uuid)"]


def test_object_without_rows_says_what_to_do(db: Connection) -> None:
    db.execute((FOLDER / "two_users.sql").read_bytes())
    db.execute("create table lonely as select id from people where id = %s", [A])
    with pytest.raises(pytest.fail.Exception, match=r"try lonely.*add them to tests/sql"):
        privileges(db)


def cell(access: Access) -> str:
    by_scope: dict[str, list[str]] = {}
    for action, scope in access.items():
        by_scope.setdefault(scope, []).append(action)
    parts = [f"{scope}: {', '.join(actions)}" for scope, actions in by_scope.items()]
    return "; ".join(part.removeprefix(": ") for part in parts) or "–"


def as_table(found: Privileges) -> str:
    """The part of docs/privileges.md: objects of one kind with the same answers share a line."""
    lines: dict[tuple[str, ...], dict[str, None]] = {}
    for (kind, name), access in sorted(found.items(), key=lambda item: ORDER.index(item[0][0])):
        cells = tuple(cell(access[who]) for who in CALLERS)
        lines.setdefault((kind, *cells), {})[f"`{name.partition('(')[0]}`"] = None
    return INTRO + "".join(
        f"| {kind}{'s' * (len(names) > 1)} {', '.join(names)} | {' | '.join(cells)} |\n"
        for (kind, *cells), names in lines.items()
    )
