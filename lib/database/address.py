"""Parse database URLs, and redact them for display."""

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
    """The parameters of a URL by their libpq names. Raises DatabaseError for a malformed one."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = None
    # libpq's message may quote the password, so neither it nor its exception may be passed on.
    if parts is None or _password_spilled(parts):
        raise DatabaseError(
            "The database URL is malformed. The form is"
            " postgresql://user:password@host:port/name. Percent-encode special characters in"
            " the password (@ as %40, / as %2F). Parameters after the question mark must be"
            " known to libpq, such as sslmode=require."
        )
    return parts


def redact(url: str) -> str:
    """The target of a URL as `host:port/database`, without user and password.

    Raises DatabaseError for a malformed URL.
    """
    parts = parse(url)
    host = parts.get("host") or "localhost"
    database = parts.get("dbname") or parts.get("user") or "postgres"
    if host.startswith("/"):
        return f"local socket, database {database}"
    return f"{host}:{parts.get('port') or 5432}/{database}"


def route(url: str) -> Route:
    """How the URL connects; "server" is any server that is not Supabase's.

    Port 6543 counts as a transaction pooler on any host. Raises DatabaseError for a malformed URL.
    """
    parts = parse(url)
    host = str(parts.get("host") or "")
    if parts.get("port") == TRANSACTION_POOLER_PORT:
        return "transaction pooler"
    if host.endswith(SHARED_POOLER):
        return "session pooler"
    return "direct" if DIRECT.fullmatch(host) else "server"


def is_transaction_pooler(url: str) -> bool:
    """Whether each transaction may get another server connection, so that LISTEN has no effect.

    Raises DatabaseError for a malformed URL.
    """
    return route(url) == "transaction pooler"


def project_ref(url: str) -> str | None:
    """The ref of the URL's Supabase project, such as "abcdefghijklmnopqrst"; None elsewhere.

    Raises DatabaseError for a malformed URL.
    """
    parts = parse(url)
    host, user = str(parts.get("host") or ""), str(parts.get("user") or "")
    pooled = host.endswith(SHARED_POOLER)
    found = POOLER_USER.fullmatch(user) if pooled else DIRECT.fullmatch(host)
    return found[1] if found else None


def _password_spilled(parts: Mapping[str, Any]) -> bool:
    """Whether unescaped characters made part of a password look like host, port or name."""
    host, port, name = (str(parts.get(key) or "") for key in ("host", "port", "dbname"))
    return "@" in host + name or not re.fullmatch("[0-9,]*", port)
