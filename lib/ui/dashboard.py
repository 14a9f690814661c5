"""What every page needs: reading the database, saying that it is away, who is acting."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from lib.database import (
    DatabaseUnavailable,
    Pool,
    SchemaMissing,
    TimeLimitReached,
    load,
    open_pool,
    translated,
)
from lib.database.replica import Replica
from lib.resources import database_url
from lib.roles import Role
from lib.settings import settings
from lib.ui.access import person, require, sign_in_configured

REFRESH_SECONDS = 2.0
"""How often a live panel is drawn again."""
# Below the refresh, or a panel would every other time show the answer it showed before.
TTL_SECONDS = 1.5
OF_THE_SERVER = ("maintenance", "troubleshooting")
"""Pages about the database server itself: a replica has sessions and statistics of its own."""
_read_at: ContextVar[list[datetime] | None] = ContextVar("read_at", default=None)


@st.cache_resource
def pool() -> Pool:
    """The connections of all sessions' pages. Raises DatabaseError for a malformed URL."""
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
        return read_once(page, query, **parameters), at
    except DatabaseUnavailable as error:
        # Kept like an answer: finding it out takes as long as a panel's refresh, and a panel
        # that is due again before it could draw would never draw.
        return error, at


def read(page: str, query: str, **parameters: Any) -> Any:
    """The answer to a named query of `queries/<page>.sql`, shared by all viewers.

    At most two TTL_SECONDS old. Raises DatabaseUnavailable.
    """
    answer, at = _answer(page, query, **parameters)
    if isinstance(answer, DatabaseUnavailable):
        raise answer
    if (times := _read_at.get()) is not None:
        times.append(at)
    return answer


def read_once(page: str, query: str, **parameters: Any) -> Any:
    """The answer to a named query as `read` gives it, but asked now and for this viewer alone.

    For exports, whose pieces nobody reads again, and for searches. Raises DatabaseUnavailable.
    """
    ask = getattr(load(page), query)
    replica = None if page in OF_THE_SERVER else _replica()
    if replica and replica.usable:
        try:
            with translated(), replica.pool.connection() as connection:
                return ask(connection, **parameters)
        except DatabaseUnavailable as error:
            replica.away(error)
    with translated(), pool().connection() as connection:
        return ask(connection, **parameters)


@contextmanager
def noting_ages() -> Iterator[list[datetime]]:
    """Gives a list that fills with when each answer read in its block was fetched."""
    times: list[datetime] = []
    token = _read_at.set(times)
    try:
        yield times
    finally:
        _read_at.reset(token)


def read_anew() -> None:
    """Forgets the answers so far, because the viewer has just changed something."""
    if replica := _replica():
        replica.changed()
    _answer.clear()


@contextmanager
def say_when_away() -> Iterator[None]:
    """Shows a sentence in place of what its block draws while the database is away.

    Once a live panel succeeds again, the whole page is drawn anew. What took too long is said, but
    is no reason for that: it would take as long again.
    """
    try:
        yield
    except TimeLimitReached:
        st.error(
            "This took the database longer than its time limit, so it was stopped. Choose a shorter"
            " time or narrower filters; the queue itself is not affected."
        )
        return
    except DatabaseUnavailable as error:
        st.session_state["database_away"] = True
        if isinstance(error, SchemaMissing):
            st.error("The database answers, but cannot be used yet. This page then goes on itself.")
            st.text(str(error))
        else:
            st.error(
                "The database does not answer. Jobs are safe in it, and this page goes on by"
                " itself as soon as it is back."
            )
        return
    if st.session_state.pop("database_away", False):
        st.rerun()


def own_url() -> str:
    """Where this app is reached: configured, or on this computer."""
    return settings().public_url or f"http://127.0.0.1:{st.get_option('server.port')}"


def functions_url() -> str:
    """The project whose functions the pages call."""
    return settings().functions_elsewhere or own_url()


def actor() -> str:
    """Who acts, for the audit log. Raises AccessDenied for who is not even an operator."""
    require(Role.OPERATOR)
    return who()


def who() -> str:
    """Who is looking: without sign-in, the user of this computer."""
    signed_in = person() if sign_in_configured() else None
    return signed_in.name if signed_in else f"{getpass.getuser()} (local)"


def time_zone() -> ZoneInfo:
    """The viewer's time zone; UTC while the browser has not told it."""
    return ZoneInfo(st.context.timezone or "UTC")


def moment(at: datetime, *, seconds: bool = False) -> str:
    """A moment in the viewer's time zone, such as "4 Nov 09:30", or "4 Nov 2025 09:30"."""
    at, now = at.astimezone(time_zone()), datetime.now(time_zone())
    day = f"{at:%-d %b}" if at.year == now.year else f"{at:%-d %b %Y}"
    return f"{day} {at:%H:%M:%S}" if seconds else f"{day} {at:%H:%M}"


def clock(at: datetime) -> str:
    """The time of day of a moment just now, such as "09:30:05"."""
    return f"{at.astimezone(time_zone()):%H:%M:%S}"
