"""Pending migrations: shown before they are applied, applied once, recorded with who did it."""

import pytest

from lib.checks.deployment.apply_migrations import apply_pending, preview
from lib.checks.deployment.progress import checklist
from lib.checks.selftest.target import target
from lib.database import DatabaseError, SchemaMismatch, connect, open_pool
from lib.database.bootstrap import bootstrap
from lib.database.migrations import MIGRATIONS
from lib.settings import parse

FILES = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
AUDIT = (
    "select actor, details ->> 'file' as file from public.audit_log"
    " where action = 'apply_migration' order by id"
)


@pytest.fixture
def empty(empty_database):
    """The URL, a pool and a connection of a database that holds nothing yet."""
    pool = open_pool(empty_database, max_size=2, wait=5.0)
    with connect(empty_database) as conn:
        yield empty_database, pool, conn
    pool.close()


def test_everything_is_shown_then_applied_and_recorded(empty):
    url, pool, conn = empty
    bootstrap(conn)
    shown = preview(pool)
    assert [file.name for file in shown] == FILES
    assert shown[0].sql == (MIGRATIONS / FILES[0]).read_text()
    assert apply_pending(url, "Kim", shown) == FILES
    assert preview(pool) == []
    assert [(row["actor"], row["file"]) for row in conn.execute(AUDIT)] == [
        ("Kim", name) for name in FILES
    ]


def test_what_was_not_shown_is_not_applied(empty):
    url, pool, conn = empty
    bootstrap(conn)
    with pytest.raises(DatabaseError, match="Check the list again"):
        apply_pending(url, "Kim", preview(pool)[:-1])
    assert [file.name for file in preview(pool)] == FILES


def test_plain_database_is_refused_with_what_to_run(empty):
    url, pool, _ = empty
    with pytest.raises(DatabaseError, match=r"auth\.users.*--bootstrap"):
        apply_pending(url, "Kim", preview(pool))


def test_database_without_the_schema_is_looked_at_all_the_same(empty, tmp_path):
    url, pool, conn = empty
    bootstrap(conn)
    settings = parse({"DATABASE_URL": url, "DARKROOM_DATA": str(tmp_path)})
    seen = checklist(pool, target(settings))
    assert seen.findings["schema"].status == "ok"
    assert seen.findings["migrations"].open
    assert FILES[0] in seen.findings["migrations"].evidence
    for name in ("tables", "functions", "views", "row-security", "grants", "no-stuck"):
        assert seen.findings[name].open
        # Made by hand, what is missing would only make the migrations fail.
        assert seen.findings[name].todo.startswith("Apply the pending migrations first")
    assert "Apply the migrations" in seen.findings["no-stuck"].evidence
    assert seen.records == {}


def test_schema_of_another_version_is_the_first_point_and_nothing_is_applied(empty, tmp_path):
    url, pool, conn = empty
    bootstrap(conn)
    shown = preview(pool)
    apply_pending(url, "Kim", shown)
    # A file that has been edited since, and one more that waits.
    conn.execute(
        "create or replace function public.schema_fingerprint() returns text"
        " language sql immutable parallel safe set search_path = '' return '0123456789abcdef'"
    )
    conn.execute("delete from darkroom.migrations where name = 'views'")
    conn.execute("drop view public.stuck_jobs cascade")
    settings = parse({"DATABASE_URL": url, "DARKROOM_DATA": str(tmp_path)})
    seen = checklist(pool, target(settings))
    assert seen.open_checks()[0].name == "schema"
    assert "created by another version of Darkroom" in seen.findings["schema"].evidence
    assert "point DATABASE_URL at an empty database" in seen.findings["schema"].todo
    for name in ("migrations", "views"):
        assert seen.findings[name].open
        # Nothing helps that is done to this schema.
        assert seen.findings[name].todo.startswith("See “Schema of this version”")
    assert preview(pool) == []
    [views] = [file for file in shown if file.name.endswith("0800_views.sql")]
    with pytest.raises(SchemaMismatch):
        apply_pending(url, "Kim", [views])
