"""Preview and apply pending migrations."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.database import DatabaseError, Pool, SchemaMismatch, connect, translated
from lib.database.bootstrap import require_supabase
from lib.database.migrations import apply, check_schema, pending, repair_command, unpushed


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A pending migration: file name and SQL."""

    name: str
    sql: str


def preview(pool: Pool) -> list[PendingFile]:
    """Pending migrations in order; none for another version's schema. Raises DatabaseError."""
    with translated(), pool.connection() as connection:
        try:
            check_schema(connection)
        except SchemaMismatch:
            return []
        return [
            PendingFile(migration.path.name, migration.path.read_text(encoding="utf-8"))
            for migration in pending(connection)
        ]


def needed_repair(pool: Pool) -> str:
    """The command that keeps the Supabase CLI from applying files again; empty if none would be.

    Raises DatabaseError.
    """
    with translated(), pool.connection() as connection:
        again = unpushed(connection)
    return repair_command(again) if again else ""


def apply_pending(url: str, actor: str, shown: Sequence[PendingFile]) -> list[str]:
    """Apply the pending migrations, recorded as applied by `actor`; return the file names.

    Uses a dedicated connection without a time limit; only one process applies at a time. All
    files are one transaction: after an error, nothing is applied. Raises DatabaseError, also if the
    pending migrations are no longer those `shown` to the operator.
    """
    with connect(url) as connection:
        require_supabase(connection)
        names = [migration.path.name for migration in pending(connection)]
        if names != [file.name for file in shown]:
            raise DatabaseError("The pending migrations have changed. Check the list again.")
        return [migration.path.name for migration in apply(connection, actor=actor)]
