"""What every page needs: cached queries, database errors, the current user, time formats."""

import getpass
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from lib.api.loopback import is_loopback
from lib.database import (
    DatabaseUnavailable,
    Pool,
    QueryError,
    SchemaMissing,
    StatementFailed,
    TimeLimitReached,
    connect,
    load,
    open_pool,
    translated,
)
from lib.database.replica import Replica
from lib.formats import escaped, zone
from lib.resources import database_url
from lib.roles import Role
from lib.settings import settings
from lib.ui.access import require, sign_in_configured, signed_in_user

REFRESH_SECONDS = 2.0
"""Default refresh interval of a live panel."""
# Shorter than the refresh interval, or every other refresh would show the same answer.
TTL_SECONDS = 1.5
PRIMARY_ONLY = ("maintenance", "troubleshooting")
"""Pages about the server itself: a replica has its own sessions and statistics."""
_answer_times: ContextVar[list[datetime] | None] = ContextVar("answer_times", default=None)
CAUSES = (
    (
        "refused|no such file",
        "Database unreachable: it refuses connections (it is stopped, or the address is wrong).",
    ),
    (
        "translate host name|name resolution|not known",
        "Database unreachable: its host name is unknown (check the DNS).",
    ),
    (
        "password|pg_hba|role .* does not exist",
        "Database unavailable: it rejects this app's user or password.",
    ),
    (
        "database .* does not exist",
        "Database unavailable: the server is running, but has no database with this name.",
    ),
    ("too many|connection slots|max client", "Database unavailable: it has no free connections."),
    ("starting up|recovery", "Database unavailable: it is starting up."),
    ("shutting down|administrator command|terminating", "Database unavailable: it is stopping."),
    ("read-only", "Database unavailable: it is read-only (a standby, or its disk is full)."),
    (
        "timeout|timed out|couldn't get a connection",
        "Database unreachable: it did not respond in time.",
    ),
    ("closed|reset by peer|lost", "Database unreachable: it closed the connection."),
)
"""What is wrong with the database, by what the driver says."""
UNKNOWN_CAUSE = "Database unreachable: see the app's log for the cause."


@st.cache_resource
def pool() -> Pool:
    """The connection pool shared by all sessions. Raises DatabaseError for a malformed URL."""
    return _pool(database_url(settings()), "darkroom dashboard")


@st.cache_resource
def _replica() -> Replica | None:
    url = settings().database_read_url
    return Replica(_pool(url, "darkroom dashboard reading")) if url else None


def _pool(url: str, application_name: str) -> Pool:
    return open_pool(
        url, max_size=8, wait=2.0, statement_timeout=5.0, application_name=application_name
    )


@st.cache_data(ttl=TTL_SECONDS, max_entries=500, show_spinner=False, refresh_mode="background")
def _answer(page: str, query: str, **parameters: Any) -> tuple[Any, datetime]:
    at = datetime.now(UTC)
    try:
        answer = read_once(page, query, **parameters)
        _outage().clear()
        return answer, at
    except DatabaseUnavailable as error:
        # Cached like an answer: detecting it takes as long as a panel's refresh interval, and a
        # panel due again before it has drawn would never draw.
        return error, at


def read(page: str, query: str, **parameters: Any) -> Any:
    """Result of a named query in `queries/<page>.sql`, cached for all viewers.

    At most twice TTL_SECONDS old. Raises DatabaseUnavailable.
    """
    answer, at = _answer(page, query, **parameters)
    if isinstance(answer, DatabaseUnavailable):
        raise answer
    if (times := _answer_times.get()) is not None:
        times.append(at)
    return answer


def read_once(page: str, query: str, **parameters: Any) -> Any:
    """Result of a named query, uncached.

    For exports and searches, whose results are not read again. Raises DatabaseUnavailable.
    """
    ask = getattr(load(page), query)
    replica = None if page in PRIMARY_ONLY else _replica()
    if replica and replica.usable:
        try:
            with translated(), replica.pool.connection() as connection:
                return ask(connection, **parameters)
        except DatabaseUnavailable as error:
            replica.note_failure(error)
    with translated(), pool().connection() as connection:
        return ask(connection, **parameters)


@contextmanager
def recording_answer_times() -> Iterator[list[datetime]]:
    """Yield a list that collects the fetch time of each answer read inside the block."""
    times: list[datetime] = []
    token = _answer_times.set(times)
    try:
        yield times
    finally:
        _answer_times.reset(token)


def clear_cached_answers() -> None:
    """Drop all cached answers, after an action has changed something."""
    if replica := _replica():
        replica.changed()
    _answer.clear()


@contextmanager
def database_errors_shown() -> Iterator[None]:
    """Show an error in place of the block's output while the database is unreachable.

    Also for a query timeout and refused parameters, with which the query would fail again.
    """
    try:
        yield
    except TimeLimitReached:
        st.error(
            "The query hit its time limit and was stopped. The queue is not affected. Choose a"
            " shorter time range or narrower filters."
        )
        return
    except QueryError as refusal:
        st.error("The database rejected a filter value. Check the filters.")
        st.text(refusal.message)
        return
    except StatementFailed as failure:
        st.error(
            "The database rejected this page's query. The queue is not affected. Reload the page;"
            " if it happens again, run the checks on Deployment."
        )
        st.text(str(failure))
        return
    except DatabaseUnavailable as error:
        missing = isinstance(error, SchemaMissing)
        st.session_state["database_unreachable"] = "schema" if missing else "unreachable"
        if missing:
            st.error(
                "The database is responding but not ready yet. This page loads as soon as it is."
            )
            st.text(str(error))
        else:
            if not _outage():
                _note_outage(error)
            show_outage()


@st.cache_resource
def _outage() -> dict[str, Any]:
    """Since when and why the database is unreachable, for all viewers; empty while it is not."""
    return {}


def show_outage() -> None:
    """Draw the one message of an outage."""
    outage = _outage()
    since = f" since {escaped(format_time_of_day(outage['since']))}" if outage else ""
    st.error(
        f"**Critical{since}.** {outage.get('cause', UNKNOWN_CAUSE)} No jobs are lost; workers and"
        f" this page resume automatically once it is back. Retrying every {REFRESH_SECONDS:g} s.",
        icon=":material/error:",
    )


def _note_outage(error: DatabaseUnavailable) -> None:
    outage, said = _outage(), str(error)
    outage.setdefault("since", datetime.now(UTC))
    found = (text for signs, text in CAUSES if re.search(signs, said, re.IGNORECASE))
    outage["cause"] = next(found, UNKNOWN_CAUSE)


def reachable() -> bool:
    """Whether the database is reachable again; asks it now."""
    try:
        # First on its own: a pool only knows that it had to wait.
        connect(database_url(settings())).close()
        with translated(), pool().connection():
            pass
    except DatabaseUnavailable as error:
        _note_outage(error)
        return False
    _outage().clear()
    st.session_state.pop("database_unreachable", None)
    return True


def app_url() -> str:
    """This app's base URL: the configured one, else on this computer."""
    if url := settings().public_url:
        return url
    address = str(st.get_option("server.address"))
    host = address if is_loopback(address) else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{st.get_option('server.port')}"


def functions_url() -> str:
    """Base URL of the functions that the pages call."""
    return settings().functions_elsewhere or app_url()


def actor() -> str:
    """The current user, for the audit log. Raises AccessDenied below the operator role."""
    require(Role.OPERATOR)
    return current_user()


def current_user() -> str:
    """The signed-in user's name; without sign-in, the local account's."""
    signed_in = signed_in_user() if sign_in_configured() else None
    return signed_in.name if signed_in else f"{getpass.getuser()} (local)"


def time_zone() -> ZoneInfo:
    """The viewer's time zone; UTC until the browser reports it, or if it reports none we know."""
    return zone(st.context.timezone)


def format_time(at: datetime, *, seconds: bool = False) -> str:
    """Date and time in the viewer's time zone: "4 Nov 09:30", with the year if not this one."""
    at, now = at.astimezone(time_zone()), datetime.now(time_zone())
    day = f"{at:%-d %b}" if at.year == now.year else f"{at:%-d %b %Y}"
    return f"{day} {at:%H:%M:%S}" if seconds else f"{day} {at:%H:%M}"


def format_time_of_day(at: datetime) -> str:
    """Time of day in the viewer's time zone, such as "09:30:05"."""
    return f"{at.astimezone(time_zone()):%H:%M:%S}"
