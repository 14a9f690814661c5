"""Apply `supabase/migrations` to any PostgreSQL, and record them in `darkroom.migrations`.

    DATABASE_URL=postgresql://… python -m lib.database.migrations [--dry-run] [--bootstrap]

What `supabase db push` has applied counts as applied too, but its record is never written:
the CLI refuses to push while a recorded version has no file in the project's own folder.
Unlike the CLI, a file name that does not fit is an error instead of being skipped, a
migration older than the newest applied one is applied with a warning, and versions without
a local file are ignored.
"""

import argparse
import hashlib
import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from lib.database.address import redact
from lib.database.bootstrap import bootstrap, require_supabase
from lib.database.errors import DatabaseError, SchemaMismatch, translated
from lib.database.pool import Connection, connect, prepare
from lib.database.queries import load

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"
FILE_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>.+)\.sql")
FINGERPRINT = re.compile(r"^return '[0-9a-f]{16}';$", re.M)
"""The line of the last file that holds the fingerprint of all files."""
logger = logging.getLogger(__name__)
history = load("history", Path(__file__).parent)
RECORD_OF_CLI = "supabase_migrations"
RECORDED = {"darkroom": history.recorded, RECORD_OF_CLI: history.pushed}
"""What each record says, by the schema that it is in: our own, and the Supabase CLI's."""


class MigrationError(DatabaseError):
    """A migration failed, or its file cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Migration:
    """One file: its version (YYYYMMDDHHmmss), its name, and where it lies."""

    version: str
    name: str
    path: Path

    @property
    def sha256(self) -> str:
        """The file's digest, in hex."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


@translated()
def pending(conn: Connection, folder: Path = MIGRATIONS) -> list[Migration]:
    """Return the migrations that are not applied yet, in order; writes nothing.

    Warns of those that are older than the newest applied one: on a new database they run
    in another order. Raises MigrationError for a missing folder, a misnamed file or a
    version used twice, and DatabaseUnavailable.
    """
    migrations = _read(folder)
    applied = _applied(conn)
    waiting = [migration for migration in migrations if migration.version not in applied]
    # A project's own migrations do not touch what is ours, in whatever order they run.
    newest = max(applied & {migration.version for migration in migrations}, default="")
    for migration in waiting:
        if migration.version < newest:
            logger.warning("%s is older than the newest applied migration.", migration.path.name)
    return waiting


def fingerprint(folder: Path = MIGRATIONS) -> str:
    """Return what tells these files from every other state of them: 16 hex digits.

    Made of all names and texts, but for the line that holds it. Raises MigrationError.
    """
    parts = [
        f"{migration.path.name}\n{FINGERPRINT.sub('', migration.path.read_text(encoding='utf-8'))}"
        for migration in _read(folder)
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@translated()
def check_schema(conn: Connection, folder: Path = MIGRATIONS) -> bool:
    """Return whether the database has the whole schema of these files; writes nothing.

    False where all or the rest of it is still to be applied. Raises SchemaMismatch where
    another state of the files made it, and DatabaseUnavailable.
    """
    complete = _is_complete(conn, folder)
    if complete is None:
        # Perhaps only because another process migrates it between two of our queries.
        with conn.transaction():
            history.lock(conn)
            complete = _is_complete(conn, folder)
    if complete is None:
        raise SchemaMismatch(
            "The schema of this database was created by another version of Darkroom",
            "point DATABASE_URL at an empty database, or drop everything that version created,"
            " all jobs included: its objects in public, the schema darkroom, and its rows in"
            " supabase_migrations.schema_migrations",
        )
    return complete


def _is_complete(conn: Connection, folder: Path) -> bool | None:
    """Whether the database has the whole schema; None if another state of the files made it."""
    complete = bool(history.fingerprinted(conn))
    if complete:
        same = history.fingerprint(conn) == fingerprint(folder)
    elif recorded := _recorded(conn, folder):
        same = all(_is_recorded(row, file) for row, file in recorded)
    else:
        same = not history.ours(conn)
    return complete if same else None


def _recorded(conn: Connection, folder: Path) -> list[tuple[dict[str, Any], Migration]]:
    """The records of versions that are ours, each with the file that has the version now."""
    files = {migration.version: migration for migration in _read(folder)}
    rows = [
        row
        for record in history.records(conn)
        if record["readable"]
        for row in RECORDED[record["schema"]](conn)
    ]
    return [(row, files[row["version"]]) for row in rows if row["version"] in files]


def _is_recorded(row: dict[str, Any], file: Migration) -> bool:
    return row["name"] in (None, file.name) and row["sha256"] in (None, file.sha256)


@translated()
def unpushed(conn: Connection, folder: Path = MIGRATIONS) -> list[Migration]:
    """Return the applied migrations that `supabase db push` would apply again; writes nothing.

    None where the CLI has never pushed one of them: its folder does not have them then.
    """
    ours = {migration.version: migration for migration in _read(folder)}
    schemas = {record["schema"] for record in history.records(conn)}
    pushed = {row["version"] for row in history.pushed(conn)} if RECORD_OF_CLI in schemas else set()
    if not pushed & ours.keys():
        return []
    return [ours[version] for version in sorted((_applied(conn) & ours.keys()) - pushed)]


def repair_command(again: list[Migration]) -> str:
    """The command after which the Supabase CLI does not apply these migrations again."""
    return f"supabase migration repair --status applied {' '.join(file.version for file in again)}"


@translated()
def apply(
    conn: Connection, folder: Path = MIGRATIONS, *, actor: str | None = None
) -> list[Migration]:
    """Apply what is pending, in order, and return what this call applied.

    With an `actor` each is written into the audit log too, as done by them.

    All of them run in one transaction together with their records. When several processes
    apply at once, each migration runs once and all of them succeed.
    Raises MigrationError or SchemaMismatch, nothing having been changed, and
    DatabaseUnavailable.
    """
    check_schema(conn, folder)
    waiting = pending(conn, folder)
    if not waiting:
        return []
    _prepare_history(conn)
    with conn.transaction():
        history.lock(conn)
        applied = _applied(conn)
        waiting = [migration for migration in waiting if migration.version not in applied]
        for migration in waiting:
            _apply(conn, migration, actor)
    return waiting


def _prepare_history(conn: Connection) -> None:
    try:
        with conn.transaction():
            history.lock(conn)
            history.create(conn)
    except errors.InsufficientPrivilege as error:
        raise MigrationError(f"This user may not migrate the database: {error}") from error


def _apply(conn: Connection, migration: Migration, actor: str | None) -> None:
    text = migration.path.read_text(encoding="utf-8")
    history.limit_waits(conn)
    _run(conn, migration.path.name, text)
    history.record(conn, version=migration.version, name=migration.name, sha256=migration.sha256)
    if actor is not None:
        file, lines = migration.path.name, len(text.splitlines())
        history.audit(conn, actor=actor, file=file, lines=lines)
    history.reset_settings(conn)
    prepare(conn, conn.info.dsn)


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
            f"{file}: must not end the transaction. Remove its COMMIT or ROLLBACK. Statements"
            " before a COMMIT have been applied without being recorded."
        )


def _applied(conn: Connection) -> set[str]:
    """The versions in either record. An error of the database if one may not be read."""
    return {
        row["version"]
        for record in history.records(conn)
        for row in RECORDED[record["schema"]](conn)
    }


def _read(folder: Path) -> list[Migration]:
    if not folder.is_dir():
        raise MigrationError(f"No migrations folder at {folder}.")
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if not match:
            raise MigrationError(
                f"{path.name}: the name must have the form YYYYMMDDHHmmss_name.sql."
            )
        if migrations and migrations[-1].version == match["version"]:
            raise MigrationError(
                f"{path.name}: has the same version as {migrations[-1].path.name}."
            )
        migrations.append(Migration(match["version"], match["name"], path))
    return migrations


def main() -> None:
    """Apply or list the pending migrations of DATABASE_URL; exit with 1 after an error."""
    parser = argparse.ArgumentParser(description="Apply the pending migrations to DATABASE_URL.")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be applied")
    parser.add_argument(
        "--bootstrap",
        action="store_true",
        help="on plain PostgreSQL, first create the objects of a Supabase project: roles, auth,"
        " publication",
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
            check_schema(conn)
            migrations = pending(conn) if chosen.dry_run else apply(conn)
            again = unpushed(conn)
        for migration in migrations:
            print("Would apply" if chosen.dry_run else "Applied", migration.path.name)
        noun = "migration" if len(migrations) == 1 else "migrations"
        print(f"{redact(url)}: {len(migrations)} {noun}")
        if again:
            print(f"The Supabase CLI would apply {len(again)} of these files again. Copy them to")
            print("your project. Before the next supabase db push, run:")
            print(repair_command(again))
    except DatabaseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
