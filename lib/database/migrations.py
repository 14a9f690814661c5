"""Apply `supabase/migrations` to any PostgreSQL, recorded as the Supabase CLI records them.

    DATABASE_URL=postgresql://… python -m lib.database.migrations [--dry-run] [--bootstrap]

A database migrated here is up to date for `supabase db push`, and the reverse. Unlike the
CLI, a file name that does not fit is an error instead of being skipped, a migration older
than the newest applied one is applied with a warning, versions without a local file are
ignored, and the record holds a file's text whole instead of split into statements.
"""

import argparse
import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from lib.database.address import redact
from lib.database.bootstrap import bootstrap, require_supabase
from lib.database.errors import DatabaseError, translated
from lib.database.pool import Connection, connect
from lib.database.queries import load

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"
FILE_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>.+)\.sql")
logger = logging.getLogger(__name__)
history = load("history", Path(__file__).parent)


class MigrationError(DatabaseError):
    """A migration failed, or its file cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Migration:
    """One file: its version (YYYYMMDDHHmmss), its name, and where it lies."""

    version: str
    name: str
    path: Path


@translated()
def pending(conn: Connection, folder: Path = MIGRATIONS) -> list[Migration]:
    """Return the migrations that are not applied yet, in order; writes nothing.

    Warns of those that are older than the newest applied one: on a new database they run
    in another order. Raises MigrationError for a missing folder, a misnamed file or a
    version used twice, and DatabaseUnavailable.
    """
    migrations = _read(folder)
    applied = _applied(conn) if history.exists(conn) else set()
    waiting = [migration for migration in migrations if migration.version not in applied]
    for migration in waiting:
        if applied and migration.version < max(applied):
            logger.warning("%s is older than what is applied already.", migration.path.name)
    return waiting


@translated()
def apply(
    conn: Connection, folder: Path = MIGRATIONS, *, actor: str | None = None
) -> list[Migration]:
    """Apply what is pending, in order, and return what this call applied.

    With an `actor` each is written into the audit log too, as done by them.

    Each file runs in a transaction of its own together with its record. When several
    processes apply at once, each migration runs once and all of them succeed.
    Raises MigrationError, the migrations before the failed one staying applied, and
    DatabaseUnavailable.
    """
    waiting = pending(conn, folder)
    if waiting:
        _prepare_history(conn)
    return [migration for migration in waiting if _apply(conn, migration, actor)]


def _prepare_history(conn: Connection) -> None:
    try:
        with conn.transaction():
            history.lock(conn)
            history.create(conn)
    except errors.InsufficientPrivilege as error:
        raise MigrationError(f"This user may not migrate the database: {error}") from error


def _apply(conn: Connection, migration: Migration, actor: str | None) -> bool:
    text = migration.path.read_text(encoding="utf-8")
    with conn.transaction():
        history.lock(conn)
        if migration.version in _applied(conn):
            return False
        _run(conn, migration.path.name, text)
        history.record(conn, version=migration.version, name=migration.name, text=text)
        if actor is not None:
            file, lines = migration.path.name, len(text.splitlines())
            history.audit(conn, actor=actor, file=file, lines=lines)
        history.reset_settings(conn)
    return True


def _run(conn: Connection, file: str, text: str) -> None:
    try:
        # Bytes without parameters: several statements in one message, and % means itself.
        conn.execute(text.encode())
    except psycopg.Error as error:
        position = error.diag.statement_position
        line = f":{text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""
        raise MigrationError(f"{file}{line}: {error}") from error
    if conn.info.transaction_status != TransactionStatus.INTRANS:
        raise MigrationError(
            f"{file}: ends the transaction itself. Remove its COMMIT or ROLLBACK; what came"
            " before a COMMIT has been applied without a record."
        )


def _applied(conn: Connection) -> set[str]:
    return {row["version"] for row in history.versions(conn)}


def _read(folder: Path) -> list[Migration]:
    if not folder.is_dir():
        raise MigrationError(f"There is no folder of migrations at {folder}.")
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if not match:
            raise MigrationError(f"{path.name}: the name must read YYYYMMDDHHmmss_name.sql.")
        if migrations and migrations[-1].version == match["version"]:
            raise MigrationError(f"{path.name}: has the version of {migrations[-1].path.name}.")
        migrations.append(Migration(match["version"], match["name"], path))
    return migrations


def main() -> None:
    """Apply or list the pending migrations of DATABASE_URL; exit with 1 after an error."""
    parser = argparse.ArgumentParser(description="Apply the pending migrations to DATABASE_URL.")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be applied")
    parser.add_argument(
        "--bootstrap",
        action="store_true",
        help="on plain PostgreSQL, first add what a Supabase project has: roles, auth, publication",
    )
    chosen = parser.parse_args()
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit(
            "Set DATABASE_URL to the database to migrate:"
            " postgresql://user:password@host:port/name."
        )
    try:
        with connect(url) as conn:
            if chosen.bootstrap and not chosen.dry_run:
                bootstrap(conn)
            require_supabase(conn)
            migrations = pending(conn) if chosen.dry_run else apply(conn)
        for migration in migrations:
            print("Would apply" if chosen.dry_run else "Applied", migration.path.name)
        print(f"{redact(url)}: {len(migrations)} migration(s)")
    except DatabaseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
