"""No finding of Supabase's database advisor, by checks that do find planted mistakes."""

from pathlib import Path

import pytest

from lib.database import load
from lib.database.pool import Connection

advisor = load("advisor", Path(__file__).parent / "sql")
OURS = ("public", "auth", "darkroom")
OPEN_TO_USERS = "enqueue_for_user(text,jsonb,integer,timestamp with time zone,integer,uuid)"
"""Checks its caller: tests/supabase/test_own_jobs.py."""

# For each rule mistakes, and what it then finds; objects called "fine" are none.
PLANTED = {
    "unindexed_foreign_keys": (
        "create table parent (a int, b int, primary key (a, b));"
        "create table child (a int, b int, foreign key (a, b) references parent);"
        "create index on child (a); create index on child (a, b) where a > 0;"
        "create index child_unusable on child (a, b);"
        "update pg_index set indisvalid = false where indexrelid = 'child_unusable'::regclass;"
        "create table fine (a int, b int, c int, foreign key (a, b) references parent);"
        "create index on fine (b, a, c)",
        ["child child_a_b_fkey"],
    ),
    "exposed_auth_users": (
        "create view people as select id from auth.users;"
        "create view names with (security_invoker = true) as select id from people;"
        "grant select on names to authenticated;"
        "create view fine as select id from auth.users",
        ["names"],
    ),
    "auth_evaluated_per_row": (
        "create policy slow on models using (auth.uid() is not null);"
        "create policy slower on models using ((select auth.uid()) is not null and"
        " auth.jwt() ->> 'a' = id);"
        "create policy slow_check on models for insert with check (auth.role() = id);"
        "create policy setting on models using (current_setting('a') = id);"
        "create policy fine on models using ((select auth.uid()) is not null"
        " and (select auth.jwt() ->> 'a') = id and (select current_setting('a')) = id)",
        ["models setting", "models slow", "models slow_check", "models slower"],
    ),
    "tables_without_primary_key": (
        "create table keyless (id int unique); create table fine (id int primary key)",
        ["keyless"],
    ),
    "multiple_permissive_policies": (
        "create policy more on models for all to authenticated using (enabled);"
        "create policy fine on models as restrictive to anon using (enabled);"
        "create policy all_roles on user_limits for delete using (daily_limit = 0)",
        ["models authenticated select", "user_limits service_role delete"],
    ),
    "row_security_off": ("create table open (id int)", ["open"]),
    "row_security_without_policy": (
        "create table shut (id int); alter table shut enable row level security",
        ["shut"],
    ),
    "always_true_policies": (
        "create policy everybody on models for select to authenticated using (true);"
        "create policy writers on models for insert with check (1 = 1);"
        "create policy two_roles on models to service_role, anon using (true);"
        "create policy fine on models to service_role using (true)",
        ["models everybody", "models two_roles", "models writers"],
    ),
    "duplicate_indexes": (
        "create table twice (a int primary key, b text);"
        "create index again on twice (a);"
        "create index one on twice (lower(b)) where a > 0;"
        "create index two on twice (lower(b)) where a > 0;"
        "create index fine on twice (lower(b)); create index fine2 on twice (b desc);"
        "create index fine3 on twice (b)",
        ["again", "one", "twice_pkey", "two"],
    ),
    "views_with_rights_of_owner": (
        "create view plain as select id from models;"
        "create view off with (security_invoker = off) as select id from models;"
        "create view fine with (security_invoker = on) as select id from models",
        ["off", "plain"],
    ),
    "materialized_views_open_to_users": (
        "create materialized view kept as select id from models; grant select on kept to anon;"
        "create materialized view fine as select id from models",
        ["kept"],
    ),
    "functions_with_mutable_search_path": (
        "create function mutable() returns int return 1;"
        "create function fixed_elsewhere() returns int set search_path = public return 1;"
        "create function fine() returns int set search_path = '' return 1",
        ["fixed_elsewhere()", "mutable()"],
    ),
    "security_definer_functions_open_to_users": (
        "create function raised() returns int security definer return 1;"
        "create function fine() returns int return 1;"
        "create function fine(int) returns int security definer return 1;"
        "revoke execute on function fine(int) from public",
        [OPEN_TO_USERS, "raised()"],
    ),
    "extensions_in_public": ("create extension vector schema public", ["vector"]),
}


def test_schema_has_no_finding(db: Connection) -> None:
    assert {rule: found for rule in PLANTED if (found := findings(db, rule))} == {
        "security_definer_functions_open_to_users": [OPEN_TO_USERS]
    }


@pytest.mark.parametrize("rule", PLANTED)
def test_rule_finds_planted_mistakes(db: Connection, rule: str) -> None:
    mistakes, expected = PLANTED[rule]
    db.execute(mistakes.encode())
    assert findings(db, rule) == expected


def test_every_rule_is_tested() -> None:
    assert {name for name in advisor.available_queries if "cursor" not in name} == set(PLANTED)


def test_all_of_ours_is_in_the_schema_that_is_checked(db: Connection) -> None:
    schemas = db.execute("select nspname from pg_namespace where nspname !~ '^pg_'").fetchall()
    assert {row["nspname"] for row in schemas} == {*OURS, "information_schema"}, (
        "The advisor's rules and test_privileges.py look at schema public only: extend both."
    )


def findings(db: Connection, rule: str) -> list[str]:
    return sorted(row["object"] for row in getattr(advisor, rule)(db))
