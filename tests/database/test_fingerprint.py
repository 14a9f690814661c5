"""A database that another state of the migrations made is refused, whoever meets it."""

import os
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import psycopg
import pytest
from generated import command

from lib.database import SchemaMismatch, connect
from lib.database.bootstrap import bootstrap
from lib.database.migrations import (
    FINGERPRINT,
    MIGRATIONS,
    RECORDED,
    apply,
    check_schema,
    fingerprint,
    history,
    pending,
)
from lib.database.pool import Connection

FIRST, *_, LAST = sorted(MIGRATIONS.glob("*.sql"))
WRITE = command("tests/database/test_fingerprint.py")
RECORD = "insert into darkroom.migrations (version, name, sha256) values (%s, %s, %s)"
OBJECTS = (
    "select (select count(*) from pg_class) as relations, (select count(*) from pg_proc) as"
    " functions"
)
# The first migrations of an older version, one of which had another name and content.
OLD_OF_OURS = """
create schema darkroom;
create table darkroom.migrations (version text primary key, name text, sha256 text);
insert into darkroom.migrations values ('20261124090000', 'tables', repeat('0', 64));
"""
OLD_OF_CLI = """
create schema supabase_migrations;
create table supabase_migrations.schema_migrations
    (version text primary key, statements text[], name text);
insert into supabase_migrations.schema_migrations values
    ('20261124090000', '{create table one ()}', 'tables'),
    ('20261124090100', '{create table two ()}', 'models');
"""
MADE = r"^create (?:or replace )?(?:%s) (?:if not exists )?public\.(\w+)"
INDEX = re.compile(
    r"^create (?:unique )?index (?:if not exists )?(\w+)\s+"
    r"on public\.(?:job_queue|image_generations)\b",
    re.M,
)
SET_ASIDE = re.compile(r"^select public\.set_aside_existing\('(\w+)'\);$", re.M)
ONE_SENTENCE = (
    r"^The schema of this database was created by another version [^.]*DATABASE_URL[^.]*"
    r"supabase_migrations\.schema_migrations\.$"
)


def test_the_first_migration_knows_all_names() -> None:
    """What it must find free, sets aside, or renames in an existing deployment."""
    files = "".join(path.read_text() for path in sorted(MIGRATIONS.glob("*.sql")))
    replaced = set(SET_ASIDE.findall(files))
    shared = {"audit_log", "job_queue", "image_generations", "models"}
    text = now = FIRST.read_text()
    for variable, names in {
        "v_relations": set(re.findall(MADE % "table|view|type", files, re.M)) - shared,
        "v_functions": set(re.findall(MADE % "function", files, re.M)) - {"set_aside_existing"},
        "v_replaced": replaced - shared,
        "v_indexes": set(INDEX.findall(files)),
    }.items():
        now = re.sub(
            rf"(    {variable} *constant text\[\] := )'{{[^}}]*}}'",
            rf"\1'{{\n{in_lines(names)}\n    }}'",
            now,
        )
    if os.environ.get("DARKROOM_WRITE_DOCS") == "1":
        FIRST.write_text(now)
        text = now
    assert (text == now) is True, f"A migration has other names: run {WRITE}."


def in_lines(names: set[str]) -> str:
    indent = " " * 8
    return textwrap.fill(
        ", ".join(sorted(names)), 110, initial_indent=indent, subsequent_indent=indent
    )


def test_the_last_migration_stores_the_fingerprint_of_all() -> None:
    text = LAST.read_text()
    now = FINGERPRINT.sub(f"return '{fingerprint()}';", text)
    if os.environ.get("DARKROOM_WRITE_DOCS") == "1":
        LAST.write_text(now)
        text = now
    assert len(FINGERPRINT.findall(text)) == 1
    assert text == now, f"A migration has changed: run {WRITE}."


def test_it_tells_every_change_of_a_name_or_a_text(tmp_path: Path) -> None:
    folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    assert fingerprint(folder) == fingerprint()
    last = folder / LAST.name
    last.write_text(FINGERPRINT.sub("return '0123456789abcdef';", last.read_text()))
    assert fingerprint(folder) == fingerprint()
    first = min(folder.glob("*.sql"))
    text = first.read_text()
    first.write_text(text + " ")
    assert fingerprint(folder) != fingerprint()
    first.write_text(text)
    first.rename(folder / first.name.replace("existing", "earlier"))
    assert fingerprint(folder) != fingerprint()


def test_a_database_of_these_migrations_is_complete(db: Connection) -> None:
    assert check_schema(db) is True


def test_an_empty_database_is_not_complete_and_not_refused(empty_database: str) -> None:
    with connect(empty_database) as conn:
        assert check_schema(conn) is False
        bootstrap(conn)
        assert check_schema(conn) is False


def test_another_fingerprint_is_refused_and_nothing_is_changed(db: Connection) -> None:
    db.execute(
        "create or replace function public.schema_fingerprint() returns text"
        " language sql immutable parallel safe set search_path = '' return '0123456789abcdef'"
    )
    db.execute("delete from darkroom.migrations where name = 'views'")
    refused(db)


@pytest.mark.parametrize("old", [OLD_OF_OURS, OLD_OF_CLI], ids=["ours", "the Supabase CLI's"])
def test_an_old_record_is_refused_and_nothing_is_changed(empty_database: str, old: str) -> None:
    """What the versions stood for before, and now stand for something else."""
    with connect(empty_database) as conn:
        bootstrap(conn)
        conn.execute(old.encode())
        refused(conn)


def test_an_edited_migration_is_refused_until_the_last_one_is_applied(
    empty_database: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (folder / LAST.name).unlink()
    with connect(empty_database) as conn:
        bootstrap(conn)
        apply(conn, folder)
        assert check_schema(conn) is False
        [views] = folder.glob("*0800_views.sql")
        views.write_text(views.read_text() + "\n-- Edited.\n")
        refused(conn, folder)


def test_a_database_that_was_migrated_halfway_is_continued(
    empty_database: str, tmp_path: Path
) -> None:
    files = sorted(MIGRATIONS.glob("*.sql"))
    for path in files[:5]:
        shutil.copy(path, tmp_path)
    with connect(empty_database) as conn:
        bootstrap(conn)
        apply(conn, tmp_path)
        assert check_schema(conn) is False
        assert [migration.path for migration in apply(conn)] == files[5:]
        assert check_schema(conn) is True


def test_records_of_another_project_do_not_matter(empty_database: str) -> None:
    with connect(empty_database) as conn:
        bootstrap(conn)
        apply(conn)
        conn.execute(RECORD, ["20270101000000", "models", "0" * 64])
        assert check_schema(conn) is True
        assert pending(conn) == []


def test_an_old_schema_without_a_record_is_refused(empty_database: str) -> None:
    with connect(empty_database) as conn:
        bootstrap(conn)
        conn.execute("create table public.job_leases (job_id uuid primary key)")
        with pytest.raises(SchemaMismatch, match=ONE_SENTENCE):
            apply(conn)


def test_a_schema_that_another_process_makes_meanwhile_is_not_refused(empty_database: str) -> None:
    with connect(empty_database) as conn, connect(empty_database) as migrating:
        bootstrap(migrating)

        class LateCursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> "LateCursor":
                if "job_leases" in str(query):
                    apply(migrating)
                return super().execute(query, *arguments, **options)

        conn.cursor_factory = LateCursor
        assert check_schema(conn) is True


def test_a_user_who_may_not_read_the_record_is_no_stranger(db: Connection) -> None:
    db.execute("set role service_role")
    assert check_schema(db) is True
    db.execute("reset role")
    db.execute("drop function public.schema_fingerprint()")
    db.execute("set role service_role")
    with pytest.raises(SchemaMismatch):
        check_schema(db)


def objects(conn: Connection) -> list[Any]:
    """How many objects a database has, and what its records of migrations say."""
    records = [RECORDED[record["schema"]](conn) for record in history.records(conn)]
    return [conn.execute(OBJECTS).fetchone(), *records]


def refused(conn: Connection, folder: Path = MIGRATIONS) -> None:
    before = objects(conn)
    for attempt in (check_schema, apply):
        with pytest.raises(SchemaMismatch) as caught:
            attempt(conn, folder)
        assert re.fullmatch(ONE_SENTENCE, str(caught.value))
    assert objects(conn) == before
