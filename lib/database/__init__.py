"""The only package that opens database connections and knows the driver.

- `address`: parse database URLs, and redact them for display.
- `pool`: connections and connection pools.
- `listen`: receive notifications.
- `queries`: the named queries of an SQL file as Python functions.
- `errors`: what callers catch instead of the driver's exceptions.
- `embedded`: our own PostgreSQL server, for when no database is configured.
- `file_lock`: locks that their process's end releases.
- `bootstrap`, `migrations`: the schema, applied in that order.
"""

from lib.database.address import project_ref, redact, route
from lib.database.errors import (
    DatabaseError,
    DatabaseUnavailable,
    QueryError,
    SchemaMismatch,
    SchemaMissing,
    StatementFailed,
    TimeLimitReached,
    translated,
)
from lib.database.listen import Listener, listening, notifications
from lib.database.pool import (
    AsyncPool,
    Connection,
    Pool,
    connect,
    connected,
    open_async_pool,
    open_pool,
)
from lib.database.queries import load, load_async

__all__ = [
    "AsyncPool",
    "Connection",
    "DatabaseError",
    "DatabaseUnavailable",
    "Listener",
    "Pool",
    "QueryError",
    "SchemaMismatch",
    "SchemaMissing",
    "StatementFailed",
    "TimeLimitReached",
    "connect",
    "connected",
    "listening",
    "load",
    "load_async",
    "notifications",
    "open_async_pool",
    "open_pool",
    "project_ref",
    "redact",
    "route",
    "translated",
]
