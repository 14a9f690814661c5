"""Migrations as a mechanism: order, record, failures, several at once, the command."""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.database import connect
from lib.database.bootstrap import bootstrap
from lib.database.migrations import (
    MIGRATIONS,
    Migration,
    MigrationError,
    apply,
    history,
    pending,
    repair_command,
    unpushed,
)
from lib.database.pool import Connection

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-sesame"
FILES = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
RECORD = "select version, name, sha256 from darkroom.migrations order by 1"
RECORD_OF_CLI = (
    "select version, statements, name from supabase_migrations.schema_migrations order by 1"
)
PUSHED = """
create schema supabase_migrations;
create table supabase_migrations.schema_migrations
    (version text primary key, statements text[], name text, created_by text);
insert into supabase_migrations.schema_migrations values
    ('20250101000000', '{}', 'of_the_project'), ('20260101000000', '{}', 'first'),
    ('20990101000000', '{}', 'of_the_project_too');
"""


@pytest.fixture
def conn(empty_database: str) -> Iterator[Connection]:
    with connect(empty_database) as conn:
        yield conn


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write migrations, given as name=text, into a folder; names lack the leading `m`."""

    def files(**texts: str) -> Path:
        for name, text in texts.items():
            (tmp_path / f"{name.removeprefix('m')}.sql").write_text(text)
        return tmp_path

    return files


def names(migrations: list[Migration]) -> list[str]:
    return [migration.name for migration in migrations]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rows(conn: Connection, query: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in conn.execute(query).fetchall()]


def command(*arguments: str, url: str | None) -> "subprocess.Popen[str]":
    environment = {name: text for name, text in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.Popen(
        [sys.executable, "-m", "lib.database.migrations", *arguments],
        cwd=ROOT,
        env=environment | ({"DATABASE_URL": url} if url is not None else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate()
    return process.returncode, out, err


def test_files_apply_in_order_of_their_names_once(
    conn: Connection, write: Callable[..., Path]
) -> None:
    first = "create table made (what text);\n-- and no more"
    second = "insert into made values ('100% :name %s'); select 1;"
    folder = write(m20260102000000_second=second, m20260101000000_first=first)
    (folder / "README.md").write_text("Not a migration.")
    assert names(apply(conn, folder)) == ["first", "second"]
    assert apply(conn, folder) == []
    assert pending(conn, folder) == []
    assert rows(conn, "select what from made") == [("100% :name %s",)]
    assert rows(conn, RECORD) == [
        ("20260101000000", "first", digest(first)),
        ("20260102000000", "second", digest(second)),
    ]


def test_what_the_supabase_cli_pushed_is_not_applied_again_and_its_record_is_left_alone(
    conn: Connection, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    conn.execute(PUSHED.encode())
    before = rows(conn, RECORD_OF_CLI)
    folder = write(m20260101000000_first="select 1/0", m20260102000000_second="select 1")
    assert names(apply(conn, folder)) == ["second"]
    assert pending(conn, folder) == []
    assert rows(conn, RECORD) == [("20260102000000", "second", digest("select 1"))]
    assert rows(conn, RECORD_OF_CLI) == before
    assert not caplog.records, "a project's own migration may be newer than ours"
    assert names(unpushed(conn, folder)) == ["second"]
    assert repair_command(unpushed(conn, folder)) == (
        "supabase migration repair --status applied 20260102000000"
    )


def test_what_the_supabase_cli_never_pushed_is_nothing_to_repair(
    conn: Connection, write: Callable[..., Path]
) -> None:
    conn.execute(PUSHED.encode())
    folder = write(m20260102000000_second="select 1")
    apply(conn, folder)
    assert unpushed(conn, folder) == []


def test_oldest_form_of_the_clis_record_is_read(
    conn: Connection, write: Callable[..., Path]
) -> None:
    conn.execute("create schema supabase_migrations")
    conn.execute("create table supabase_migrations.schema_migrations (version text primary key)")
    conn.execute("insert into supabase_migrations.schema_migrations values ('20260101000000')")
    assert apply(conn, write(m20260101000000_first="select 1/0")) == []


def test_failure_leaves_nothing_of_any_file_and_says_where(
    conn: Connection, write: Callable[..., Path]
) -> None:
    folder = write(
        m20260101000000_good="create table good ()",
        m20260102000000_broken="create table half_done ();\n\nselect wrong;",
        m20260103000000_late="create table late ()",
    )
    with pytest.raises(MigrationError, match=r"20260102000000_broken\.sql:3: .*wrong"):
        apply(conn, folder)
    assert rows(conn, "select coalesce(to_regclass('good'), to_regclass('half_done'))") == [(None,)]
    assert names(pending(conn, folder)) == ["good", "broken", "late"]

    write(m20260102000000_broken="create table half_done ();")
    assert names(apply(conn, folder)) == ["good", "broken", "late"]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_file_that_ends_the_transaction_is_refused(
    conn: Connection, write: Callable[..., Path], end: str
) -> None:
    folder = write(m20260101000000_ends=f"create table made (); {end};")
    with pytest.raises(MigrationError, match=r"_ends\.sql: must not end the transaction"):
        apply(conn, folder)
    assert names(pending(conn, folder)) == ["ends"]


def test_settings_of_a_file_do_not_reach_the_next(
    conn: Connection, write: Callable[..., Path]
) -> None:
    folder = write(
        m20260101000000_sets="set search_path = ''; set statement_timeout = '9s'",
        m20260102000000_after="create table made ()",
    )
    apply(conn, folder)
    assert rows(conn, "select to_regclass('public.made')::text") == [("made",)]
    assert rows(conn, "show statement_timeout") == [("0",)]


@pytest.mark.parametrize(
    "name", ["20260101_short.sql", "20260101000000.sql", "20260101000000_.sql", "fix.sql"]
)
def test_misnamed_file_is_refused_before_anything_is_applied(
    conn: Connection, write: Callable[..., Path], name: str
) -> None:
    folder = write(m20250101000000_good="create table good ()")
    (folder / name).write_text("select 1")
    with pytest.raises(MigrationError, match=rf"{name}.*YYYYMMDDHHmmss_name\.sql"):
        apply(conn, folder)
    assert rows(conn, "select to_regclass('good')") == [(None,)]


def test_version_used_twice_is_refused(conn: Connection, write: Callable[..., Path]) -> None:
    folder = write(m20260101000000_one="select 1", m20260101000000_two="select 1")
    with pytest.raises(MigrationError, match=r"_two\.sql.*_one\.sql"):
        pending(conn, folder)


def test_missing_folder_is_refused(conn: Connection, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="nowhere"):
        pending(conn, tmp_path / "nowhere")


def test_migration_older_than_an_applied_one_is_reported_and_applied(
    conn: Connection, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    apply(conn, write(m20260201000000_newer="select 1"))
    assert not caplog.records
    folder = write(m20260101000000_older="select 1", m20260301000000_newest="select 1")
    assert names(apply(conn, folder)) == ["older", "newest"]
    assert [r.getMessage() for r in caplog.records] == [
        "20260101000000_older.sql is older than the newest applied migration."
    ]


def test_user_without_the_right_is_told(conn: Connection, write: Callable[..., Path]) -> None:
    bootstrap(conn)
    conn.execute("set role anon")
    with pytest.raises(MigrationError, match="may not migrate"):
        apply(conn, write(m20260101000000_first="select 1"))


def test_processes_at_once_apply_each_migration_once(
    empty_database: str, conn: Connection, waiting: Callable[[], int]
) -> None:
    bootstrap(conn)
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtextextended('darkroom:schema', 0))")
        processes = [command(url=empty_database) for _ in range(2)]
        while waiting() < 2:
            assert all(process.poll() is None for process in processes)
            time.sleep(0.01)
    results = [finish(process) for process in processes]
    assert [(code, err) for code, _, err in results] == [(0, "")] * 2
    applied = "".join(out for _, out, _ in results).splitlines()
    assert sorted(line for line in applied if "Applied" in line) == [f"Applied {f}" for f in FILES]


def test_record_that_another_process_makes_meanwhile_is_used(
    empty_database: str, conn: Connection, waiting: Callable[[], int], write: Callable[..., Path]
) -> None:
    folder = write(m20260101000000_first="select 1")
    with connect(empty_database) as second, ThreadPoolExecutor(1) as thread:
        bootstrap(second)  # which fills the session's cache of the catalogue
        with conn.transaction():
            history.lock(conn)
            applying = thread.submit(apply, second, folder)
            while not waiting():
                assert not applying.done(), applying.result()
                time.sleep(0.01)
            history.create(conn)
        assert names(applying.result()) == ["first"]


def test_command_lists_and_changes_nothing_then_applies(
    empty_database: str, conn: Connection
) -> None:
    bootstrap(conn)
    everything = "select count(*) from pg_class union all select count(*) from pg_namespace"
    before = rows(conn, everything)
    code, out, err = finish(command("--dry-run", url=empty_database))
    assert (code, err) == (0, "")
    assert out.splitlines()[:-1] == [f"Would apply {name}" for name in FILES]
    assert rows(conn, everything) == before

    code, out, err = finish(command(url=empty_database))
    assert (code, err) == (0, "")
    assert out.splitlines()[:-1] == [f"Applied {name}" for name in FILES]
    assert finish(command("--dry-run", url=empty_database))[1].endswith(": 0 migrations\n")

    # As if the CLI had pushed all but the last, and this program then applied that one.
    *pushed, newest = [name.partition("_")[0] for name in FILES]
    conn.execute(PUSHED.encode())
    conn.execute(
        "insert into supabase_migrations.schema_migrations (version) select unnest(%s::text[])",
        [pushed],
    )
    code, out, err = finish(command(url=empty_database))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"supabase migration repair --status applied {newest}"


def test_command_on_a_plain_database_says_what_to_add_and_adds_it(empty_database: str) -> None:
    for arguments in ([], ["--dry-run"]):
        code, out, err = finish(command(*arguments, url=empty_database))
        assert (code, out) == (1, "")
        assert re.fullmatch(r"This database lacks .*auth\.users.*--bootstrap\n", err)
    code, out, err = finish(command("--bootstrap", url=empty_database))
    assert (code, err) == (0, "")
    assert out.splitlines()[:-1] == [f"Applied {name}" for name in FILES]


@pytest.mark.parametrize("url", [None, ""])
def test_command_without_a_url_says_what_to_set(url: str | None) -> None:
    code, out, err = finish(command("--dry-run", url=url))
    assert (code, out) == (1, "")
    assert err.startswith("Set DATABASE_URL")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"postgresql://someone:{SECRET}@127.0.0.1:1/db", "temporarily unavailable"),
        (f"postgresql://someone:{SECRET}/x@127.0.0.1/db", "malformed"),
    ],
)
def test_command_that_cannot_connect_shows_no_password(url: str, reason: str) -> None:
    code, out, err = finish(command(url=url))
    assert (code, out) == (1, "")
    assert reason in err
    assert "Traceback" not in err
    assert SECRET not in err


def test_no_file_waits_long_for_a_lock(conn, write):
    seen = "create table seen{0} as select current_setting('lock_timeout') as lock_timeout;"
    apply(conn, write(m20260101000000_a=seen.format(1), m20260102000000_b=seen.format(2)))
    for table in ("seen1", "seen2"):
        assert conn.execute(f"select * from {table}").fetchone() == {"lock_timeout": "10s"}  # noqa: S608
    assert conn.execute("show lock_timeout").fetchone() == {"lock_timeout": "0"}
