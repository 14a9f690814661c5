"""Add to plain PostgreSQL what our migrations expect from a Supabase project."""

from pathlib import Path

from psycopg.errors import InsufficientPrivilege

from lib.database.errors import DatabaseError, translated
from lib.database.pool import Connection
from lib.database.queries import load

ROOM = Path(__file__).parent
history = load("history", ROOM)
supabase = load("supabase", ROOM)


def bootstrap(conn: Connection) -> bool:
    """Create Supabase's roles, `auth` schema and realtime publication if they are missing.

    Returns False without changes on Supabase itself, or if something else provides
    `auth.users`. Idempotent and safe to run concurrently. Raises DatabaseError if the user is
    not a superuser.
    """
    with translated():
        try:
            with conn.transaction():
                history.lock(conn)
                if supabase.provided(conn):
                    return False
                conn.execute((ROOM / "bootstrap.sql").read_bytes())
                return True
        except InsufficientPrivilege as error:
            raise DatabaseError(
                "Only a superuser can create the objects of a Supabase project:"
                f" {error.diag.message_primary}."
            ) from error


def require_supabase(conn: Connection) -> None:
    """Raise DatabaseError, naming what is missing, if the migrations' prerequisites are not met."""
    with translated():
        lacking = [row["name"] for row in supabase.lacking(conn)]
    if lacking:
        raise DatabaseError(
            f"This database lacks objects of a Supabase project ({', '.join(lacking)}). On plain"
            " PostgreSQL, create them first as a superuser: python -m lib.database.migrations"
            " --bootstrap"
        )
