"""NOTIFY as an async stream."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lib.database import DatabaseError, DatabaseUnavailable, connect, embedded, notifications

CHANNEL = 'Hostile "channel"; --'


async def test_notifications_arrive_in_order(postgres: embedded.EmbeddedPostgres) -> None:
    stream = notifications(postgres.url, CHANNEL)
    assert await anext(stream) == "", "listening"
    with connect(postgres.url) as conn:
        for payload in ("one", "two"):
            conn.execute("select pg_notify(%s, %s)", [CHANNEL, payload])
        conn.execute("select pg_notify('another', 'three')")
        conn.execute("select pg_notify(%s, 'four')", [CHANNEL])
    assert [await anext(stream) for _ in range(3)] == ["one", "two", "four"]
    await stream.aclose()


async def test_lost_connection_ends_the_stream(
    postgres: embedded.EmbeddedPostgres, terminate: Callable[[str], None]
) -> None:
    stream = notifications(postgres.url, "jobs")
    await anext(stream)
    following = asyncio.ensure_future(anext(stream))
    await asyncio.to_thread(terminate, "darkroom listening to jobs")
    with pytest.raises(DatabaseUnavailable):
        await following


async def test_leaving_the_stream_closes_its_connection(
    postgres: embedded.EmbeddedPostgres, eventually: Callable[..., Any]
) -> None:
    stream = notifications(postgres.url, "jobs")
    await anext(stream)
    await stream.aclose()
    with connect(postgres.url) as conn:
        listening = "select from pg_stat_activity where application_name like '%listening%'"
        eventually(lambda: not conn.execute(listening).fetchall())


async def test_malformed_url_is_refused_without_its_password() -> None:
    with pytest.raises(DatabaseError, match="malformed") as caught:
        await anext(notifications("postgresql://u:ses/ame@host/db", "jobs"))
    assert "ame" not in str(caught.value).replace("name", "").replace("Parameters", "")
