"""The SQL that a repair gives makes an object again as it was."""

from psycopg import sql

from lib.checks.expected_schema import definitions

ACCESS = """
select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as body,
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


def test_every_function_and_view_comes_back_as_it_was(db):
    made = [one for one in definitions().values() if one.kind in ("function", "view")]
    assert len(made) > 70
    for one in made:
        query = ACCESS if one.kind == "function" else VIEW
        before = db.execute(query, [one.name]).fetchall()
        assert len(before) == 1, one.name
        with db.transaction(force_rollback=True):
            drop = sql.SQL("drop {} public.{} cascade").format(
                sql.SQL(one.kind), sql.Identifier(one.name)
            )
            db.execute(drop)
            db.execute(one.sql().encode())
            assert db.execute(query, [one.name]).fetchall() == before


def test_triggers_and_policies_come_back_as_they_were(db):
    for one in definitions().values():
        if one.kind in ("trigger", "policy"):
            before = db.execute(ON_TABLES, {"table": one.table}).fetchall()
            assert (one.kind, one.name) in {(row["kind"], row["name"]) for row in before}
            with db.transaction(force_rollback=True):
                drop = sql.SQL("drop {} {} on public.{}").format(
                    sql.SQL(one.kind), sql.Identifier(one.name), sql.Identifier(one.table)
                )
                db.execute(drop)
                db.execute(one.sql().encode())
                assert db.execute(ON_TABLES, {"table": one.table}).fetchall() == before


def test_all_that_the_schema_has_is_known(db):
    has = db.execute(
        "select 'table' as kind, tablename as name from pg_tables where schemaname = 'public'"
        " union all select 'view', viewname from pg_views where schemaname = 'public'"
        " union all select 'function', proname from pg_proc"
        " where pronamespace = 'public'::regnamespace"
        " union all select 'trigger', tgname from pg_trigger where not tgisinternal"
    ).fetchall()
    known = {key for key in definitions() if key[0] != "policy"}
    assert {(row["kind"], row["name"]) for row in has} == known
