"""The migrations that are not applied yet: what they hold, and applying them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.database import DatabaseError, Pool, SchemaMismatch, connect, translated
from lib.database.bootstrap import require_supabase
from lib.database.migrations import apply, check_schema, pending


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A migration that is not applied: its file's name and its SQL."""

    name: str
    sql: str


def preview(pool: Pool) -> list[PendingFile]:
    """What would be applied now, in order: nothing to another version's schema.

    Raises DatabaseError.
    """
    with translated(), pool.connection() as connection:
        try:
            check_schema(connection)
        except SchemaMismatch:
            return []
        return [
            PendingFile(migration.path.name, migration.path.read_text(encoding="utf-8"))
            for migration in pending(connection)
        ]


def apply_pending(url: str, actor: str, shown: Sequence[PendingFile]) -> list[str]:
    """Applies what is pending and returns the files' names; each is recorded as done by `actor`.

    One process at a time applies, in a connection of its own without a time limit. Refuses when
    what is pending is no longer what was `shown`. Each file is a transaction: after an error
    those before it stay applied. Raises DatabaseError.
    """
    with connect(url) as connection:
        require_supabase(connection)
        names = [migration.path.name for migration in pending(connection)]
        if names != [file.name for file in shown]:
            raise DatabaseError("What is pending has changed meanwhile: look at the list again.")
        return [migration.path.name for migration in apply(connection, actor=actor)]
