"""Give plain PostgreSQL what our migrations expect of a Supabase project."""

from pathlib import Path

from lib.database.errors import translated
from lib.database.pool import Connection
from lib.database.queries import load

ROOM = Path(__file__).parent
history = load("history", ROOM)
supabase = load("supabase", ROOM)


def bootstrap(conn: Connection) -> bool:
    """Create Supabase's roles, `auth` schema and realtime publication where they are missing.

    Returns False, having changed nothing, on Supabase itself or where somebody else
    provides `auth.users`. Can be repeated, also by several processes at once. Needs a
    superuser; raises psycopg's InsufficientPrivilege otherwise.
    """
    with translated(), conn.transaction():
        history.lock(conn)
        if supabase.provided(conn):
            return False
        conn.execute((ROOM / "bootstrap.sql").read_bytes())
        return True
