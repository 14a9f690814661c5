"""Database errors, with messages for people and fields for programs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors

# Errors caused by the arguments of our SQL functions, besides the functions' own DR… codes.
CALLER_ERRORS = (
    errors.InvalidParameterValue,
    errors.InvalidTextRepresentation,
    errors.ForeignKeyViolation,
    errors.UniqueViolation,
    errors.CheckViolation,
)

UNSENDABLE = "22021"
"""Code of values that the driver cannot send: no text in PostgreSQL has the character NUL."""

STALE_SESSION_ERRORS = (
    # The session is not the one that we prepared statements in, as behind some poolers.
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
    # A table has changed since: a plan, or a function that returns its rows, no longer fits.
    errors.FeatureNotSupported,
    errors.DatatypeMismatch,
)
"""Errors that a new connection does not have."""

SCHEMA_ERRORS = (errors.UndefinedTable, errors.UndefinedFunction, errors.UndefinedColumn)


class DatabaseError(Exception):
    """A database operation failed; the message says what to do."""


class DatabaseUnavailable(DatabaseError):
    """The database is unreachable or too slow. The same call may succeed later."""


class SchemaMissing(DatabaseUnavailable):
    """The database has no schema of ours or an older one; the message says what to run."""


class SchemaMismatch(DatabaseError):
    """Another version of the migrations made the schema; `advice` says what to do."""

    def __init__(self, fault: str, advice: str) -> None:
        super().__init__(f"{fault}: {advice}.")
        self.advice = advice


class TimeLimitReached(DatabaseUnavailable):
    """A statement hit its time limit: it was too expensive or waited for a lock."""


class StatementFailed(DatabaseError):
    """PostgreSQL refused a statement, through no fault of the caller or the connection.

    A bug in Darkroom, or a custom trigger or constraint.
    """


class QueryError(DatabaseError):
    """PostgreSQL rejected the caller's data.

    `sqlstate` is one of our own codes (DR404 not found, DR409 conflict, DR422 invalid,
    DR429 over a limit) or a standard one: 22021, 22023, 22P02, 23503, 23505, 23514.
    `message` is PostgreSQL's message; `detail` the error's DETAIL if that is a JSON object,
    else `{"detail": text}`, or empty.
    """

    def __init__(self, sqlstate: str, message: str, detail: dict[str, Any]) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail


@contextmanager
def translated() -> Iterator[None]:
    """Translate the driver's errors in the block into a DatabaseError.

    DatabaseUnavailable if the same call may succeed later, QueryError if the caller's data was
    refused, StatementFailed for anything else. Wrap both acquiring a connection and using it; works
    around `await` too.
    """
    try:
        yield
    except errors.QueryCanceled as error:
        raise TimeLimitReached("The query exceeded its time limit.") from error
    except SCHEMA_ERRORS as error:
        raise SchemaMissing(
            f"The schema of the database is incomplete ({error.diag.message_primary}). Apply the"
            " migrations: python -m lib.database.migrations"
        ) from error
    except STALE_SESSION_ERRORS as error:
        raise DatabaseUnavailable(
            f"The database connection is stale and must be reopened: {_reason(error)}"
        ) from error
    except errors.ReadOnlySqlTransaction as error:
        raise DatabaseUnavailable(
            "The database is read-only: it is a standby, or default_transaction_read_only is"
            f" on, which Supabase sets while the disk is full ({error.diag.message_primary})."
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(f"Database temporarily unavailable: {error}") from error
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
        if isinstance(error, psycopg.DataError) and not sqlstate:
            sqlstate = UNSENDABLE
        elif not (sqlstate.startswith("DR") or isinstance(error, CALLER_ERRORS)):
            raise StatementFailed(_reason(error)) from error
        message = error.diag.message_primary or str(error)
        raise QueryError(sqlstate, message, _detail(error.diag.message_detail)) from error


def _reason(error: psycopg.Error) -> str:
    message = error.diag.message_primary or error
    return f"PostgreSQL rejected the statement: {message} ({error.sqlstate})"


def _detail(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"detail": text}
