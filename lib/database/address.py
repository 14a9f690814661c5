"""What a database URL says about where it leads, and what may be shown of it."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict

from lib.database.errors import DatabaseError

# Supabase's: https://supabase.com/docs/guides/database/connecting-to-postgres
TRANSACTION_POOLER_PORT = "6543"
SHARED_POOLER = ".pooler.supabase.com"
DIRECT = re.compile(r"db\.([a-z0-9]+)\.supabase\.(?:co|net)")
POOLER_USER = re.compile(r"[^.]+\.([a-z0-9]+)")

Route = Literal["direct", "session pooler", "transaction pooler", "server"]


def parse(url: str) -> dict[str, Any]:
    """What libpq understands of a URL, by its names. Raises DatabaseError for a malformed one."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = None
    # libpq's message would quote the password, so neither it nor its exception may travel on.
    if parts is None or _password_spilled(parts):
        raise DatabaseError(
            "The database URL is malformed: it must read postgresql://user:password@host:port/name,"
            " with special characters in the password percent-encoded (@ as %40, / as %2F), and"
            " after a question mark only what libpq knows, such as sslmode=require."
        )
    return parts


def redact(url: str) -> str:
    """Say where a URL leads, as `host:port/database`, without user and password.

    Raises DatabaseError for a malformed URL.
    """
    parts = parse(url)
    host = parts.get("host") or "localhost"
    database = parts.get("dbname") or parts.get("user") or "postgres"
    if host.startswith("/"):
        return f"local socket, database {database}"
    return f"{host}:{parts.get('port') or 5432}/{database}"


def route(url: str) -> Route:
    """How the URL reaches its server: "server" is any that is not Supabase's.

    Port 6543 is a transaction pooler everywhere, pgbouncer or Supabase's. Raises DatabaseError
    for a malformed URL.
    """
    parts = parse(url)
    host = str(parts.get("host") or "")
    if parts.get("port") == TRANSACTION_POOLER_PORT:
        return "transaction pooler"
    if host.endswith(SHARED_POOLER):
        return "session pooler"
    return "direct" if DIRECT.fullmatch(host) else "server"


def is_transaction_pooler(url: str) -> bool:
    """Whether each transaction may meet another server connection, where LISTEN has no effect.

    Raises DatabaseError for a malformed URL.
    """
    return route(url) == "transaction pooler"


def project_ref(url: str) -> str | None:
    """The Supabase project that the URL leads to, such as "abcdefghijklmnopqrst"; None elsewhere.

    Raises DatabaseError for a malformed URL.
    """
    parts = parse(url)
    host, user = str(parts.get("host") or ""), str(parts.get("user") or "")
    pooled = host.endswith(SHARED_POOLER)
    found = POOLER_USER.fullmatch(user) if pooled else DIRECT.fullmatch(host)
    return found[1] if found else None


def _password_spilled(parts: Mapping[str, Any]) -> bool:
    """Whether unescaped characters of a password made its rest part of host, port or name."""
    host, port, name = (str(parts.get(key) or "") for key in ("host", "port", "dbname"))
    return "@" in host + name or not re.fullmatch("[0-9,]*", port)
