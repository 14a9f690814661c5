"""The snapshot is the schema that the migrations make, and its SQL makes each object again."""

import json
import os
from typing import Any

import pytest
from generated import command
from psycopg import sql
from schema_snapshot import as_text, described, snapshot, without_places

from lib.checks.expected_schema import SNAPSHOT, create, differences, expected, restore
from lib.database import connect, load
from lib.database.bootstrap import bootstrap
from lib.database.pool import Connection

WRITE = command("tests/checks/test_expected_schema.py")
FUNCTION = """
select pg_get_functiondef(p.oid) as body,
       array(select a::text from unnest(p.proacl) a order by 1) as access
from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname = %s
"""
VIEW = """
select pg_get_viewdef(c.oid) as body, c.reloptions,
       array(select a::text from unnest(c.relacl) a order by 1) as access
from pg_class c where c.oid = ('public.' || %s)::regclass
"""
ON_TABLES = """
select 'trigger' as kind, tgname as name, pg_get_triggerdef(oid) as body
from pg_trigger where tgrelid = ('public.' || %(table)s)::regclass and not tgisinternal
union all
select 'policy', policyname, (to_jsonb(p) - 'policyname')::text
from pg_policies p where schemaname = 'public' and tablename = %(table)s
order by 1, 2
"""


def found(db: Connection) -> list[Any]:
    queries = load("schema")
    return [*queries.objects(db), *queries.indexes(db)]


@pytest.fixture
def at_once(db: Connection) -> Any:
    """A database that the migrator made."""
    return described(db, {})


def test_the_snapshot_is_what_the_migrations_make(empty_database: str, at_once: Any) -> None:
    with connect(empty_database) as conn:
        bootstrap(conn)
        made = snapshot(conn)
    text = as_text(made)
    if os.environ.get("DARKROOM_WRITE_DOCS") == "1":
        SNAPSHOT.write_text(text, encoding="utf-8")
        expected.cache_clear()
    # Not compared as text: an assertion over 100 kB takes pytest minutes to explain.
    assert (SNAPSHOT.read_text(encoding="utf-8") == text) is True, (
        f"The schema has changed: run {WRITE}."
    )
    assert (without_places(at_once) == without_places(json.loads(text))) is True


def test_a_migrated_database_lacks_nothing(db: Connection) -> None:
    assert differences(found(db)) == []
    assert differences(found(db), "index") == []


def test_every_function_and_view_comes_back_as_it_was(db: Connection) -> None:
    for kind, query in (("function", FUNCTION), ("view", VIEW)):
        for full_name in expected()[kind]:
            name = full_name.partition("(")[0]
            before = db.execute(query.encode(), [name]).fetchall()
            assert len(before) == 1, name
            with db.transaction(force_rollback=True):
                drop = sql.SQL("drop {} public.{} cascade").format(
                    sql.SQL(kind), sql.Identifier(name)
                )
                db.execute(drop)
                db.execute(create(kind, full_name).encode())
                assert db.execute(query.encode(), [name]).fetchall() == before
            if kind == "function":
                with db.transaction(force_rollback=True):
                    db.execute(restore(kind, full_name).encode())
                    assert db.execute(query.encode(), [name]).fetchall() == before


def test_triggers_and_policies_come_back_as_they_were(db: Connection) -> None:
    for kind in ("trigger", "policy"):
        for full_name, wanted in expected()[kind].items():
            name, table = wanted[kind], wanted["table"]
            before = db.execute(ON_TABLES, {"table": table}).fetchall()
            assert (kind, name) in {(row["kind"], row["name"]) for row in before}
            with db.transaction(force_rollback=True):
                drop = sql.SQL("drop {} {} on public.{}").format(
                    sql.SQL(kind), sql.Identifier(name), sql.Identifier(table)
                )
                db.execute(drop)
                db.execute(create(kind, full_name).encode())
                assert db.execute(ON_TABLES, {"table": table}).fetchall() == before


def test_every_table_comes_back_with_its_columns_rights_and_policies(db: Connection) -> None:
    for name in expected()["table"]:
        with db.transaction(force_rollback=True):
            db.execute(sql.SQL("drop table public.{} cascade").format(sql.Identifier(name)))
            db.execute(create("table", name).encode())
            assert differences(found(db), "table", "policy") == []
            made = without_places(described(db, {}))["table"][name]
            assert made == without_places(expected())["table"][name]


def test_all_that_the_schema_has_is_known(db: Connection) -> None:
    has = db.execute(
        "select 'table' as kind, tablename as name from pg_tables where schemaname = 'public'"
        " union all select 'view', viewname from pg_views where schemaname = 'public'"
        " union all select 'function', proname from pg_proc"
        " where pronamespace = 'public'::regnamespace"
        " union all select 'trigger', tgname from pg_trigger where not tgisinternal"
    ).fetchall()
    known = {
        (kind, details.get("trigger") or name.partition("(")[0])
        for kind in ("table", "view", "function", "trigger")
        for name, details in expected()[kind].items()
    }
    assert {(row["kind"], row["name"]) for row in has} == known


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            "create or replace function public.forgotten_after() returns interval"
            " language sql immutable set search_path = '' return interval '0'",
            None,
        ),
        (
            "create or replace function public.require_actor(p_actor text) returns void"
            " language plpgsql set search_path = '' as $$ begin end $$",
            "function require_actor has been changed",
        ),
        (
            "alter function public.enqueue_job reset all",
            "function enqueue_job has been changed",
        ),
        (
            "alter function public.enqueue_job security definer",
            "function enqueue_job has been changed",
        ),
    ],
)
def test_a_function_that_was_changed_by_hand_is_found_and_put_back(
    db: Connection, change: str, text: str | None
) -> None:
    """All but a change from one SQL-standard body to another, which PostgreSQL keeps parsed."""
    db.execute(change.encode())
    changed = differences(found(db), "function")
    assert [difference.text for difference in changed] == ([text] if text else [])
    for difference in changed:
        db.execute(difference.sql.encode())
    assert differences(found(db)) == []
