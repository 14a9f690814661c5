"""What visitors without a role can make the app do over a websocket: little, and not often."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from people import LONG
from playwright.sync_api import expect
from running_app import App, apps
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lib.ui.access.socket_limits import MAX_IN_TOTAL, MAX_MESSAGES, MAX_PER_ADDRESS

pytestmark = pytest.mark.slow

SECONDS = 20
PUBLIC = "https://darkroom.studio.example"
POOL_SIZE = 8
CONNECTIONS = (
    "select pid from pg_stat_activity"
    " where datname = current_database() and application_name = 'darkroom dashboard'"
)


def said(kind: str, **fields: Any) -> bytes:
    """A message of a browser."""
    message = BackMsg()
    value = getattr(message, kind)
    if isinstance(value, bool):
        setattr(message, kind, True)
    else:
        value.SetInParent()
        for name, content in fields.items():
            getattr(value, name).extend(content)
    return message.SerializeToString()


def stranger(app: App, address: str = "127.0.0.1", **headers: str) -> ClientConnection:
    """A websocket of a visitor at an address of this computer."""
    url = urlsplit(app.url)
    assert url.hostname
    assert url.port
    plain = socket.create_connection((url.hostname, url.port), source_address=(address, 0))
    origin = headers.pop("origin", app.url)
    return connect(
        f"ws://{url.netloc}/_stcore/stream",
        sock=plain,
        origin=origin,
        subprotocols=["streamlit"],
        additional_headers=headers,
        max_size=None,
        proxy=None,
    )


def answers(visitor: ClientConnection, asked: str, last: str) -> list[str | None]:
    """The kinds of what the app says to a message, up to the last one."""
    visitor.send(said(asked))
    kinds: list[str | None] = []
    while last not in kinds:
        kinds.append(ForwardMsg.FromString(visitor.recv(SECONDS)).WhichOneof("type"))
    return kinds


def test_a_stranger_asks_for_a_page_and_nothing_else(signed_app: App) -> None:
    with stranger(signed_app) as visitor:
        for kind in ("load_git_info", "set_run_on_save", "file_urls_request"):
            visitor.send(said(kind))
        visitor.send(said("file_urls_request", file_names=["a"] * 1000))
        assert answers(visitor, "app_heartbeat", "heartbeat_ack") == ["heartbeat_ack"]
        assert "new_session" in answers(visitor, "rerun_script", "script_finished")


def test_nobody_empties_the_caches_of_all(signed_app: App, people, rows) -> None:
    """Another pool of connections would be opened each time."""
    page = people["viewer"]
    found: set[int] = set()
    with stranger(signed_app) as visitor:
        for _ in range(5):
            page.goto(f"{signed_app.url}/jobs?live=false")
            expect(page.get_by_role("heading", name="Jobs")).to_be_visible(timeout=LONG)
            found |= {row["pid"] for row in rows.execute(CONNECTIONS)}
            visitor.send(said("clear_cache"))
            answers(visitor, "app_heartbeat", "heartbeat_ack")
    assert len(found) <= POOL_SIZE


def test_a_stranger_who_says_too_much_is_cut_off(signed_app: App) -> None:
    with stranger(signed_app) as visitor:
        for _ in range(MAX_MESSAGES + 1):
            visitor.send(said("stop_script"))
        with pytest.raises(ConnectionClosed) as closed:
            answers(visitor, "stop_script", "script_finished")
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1008


def test_an_address_holds_so_many_websockets_and_a_person_with_a_role_one_more(
    signed_app: App, people
) -> None:
    with ExitStack() as held:
        for _ in range(MAX_PER_ADDRESS):
            held.enter_context(stranger(signed_app))
        with pytest.raises(InvalidStatus) as refusal:
            stranger(signed_app)
        answer = refusal.value.response
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        reason = f"have too many pages open (limit: {MAX_PER_ADDRESS}). Close some"
        assert reason.encode() in answer.body
        with pytest.raises(InvalidStatus):
            stranger(signed_app)
        log = signed_app.log.read_text()
        assert log.count("Refused a websocket from 127.0.0.1") == 1
        assert "ASGI callable" not in log
        held.enter_context(stranger(signed_app, "127.0.0.2"))
        page = people["viewer"]
        page.goto(f"{signed_app.url}/jobs?live=false")
        expect(page.get_by_role("heading", name="Jobs")).to_be_visible(timeout=LONG)
    # Closed ones do not count; the app may hear of it a moment later.
    for _ in range(100):
        try:
            stranger(signed_app).close()
        except InvalidStatus:
            httpx.get(f"{signed_app.url}/_stcore/health")
        else:
            return
    pytest.fail("Closed websockets are still counted.")


@pytest.fixture(scope="module")
def published_app(
    eventually: Callable[..., Any], secrets_file: Path, shared_database: str
) -> Iterator[App]:
    with apps(eventually) as make:
        home = str(secrets_file.parents[1])
        yield make(DATABASE_URL=shared_database, HOME=home, DARKROOM_URL=PUBLIC).start()


def test_behind_a_proxy_visitors_are_told_apart_and_there_is_a_limit_in_total(
    published_app: App,
) -> None:
    with ExitStack() as held:

        def visit(address: str) -> None:
            # What the visitor sent comes first, and what the proxy saw last.
            forwarded = {"x-forwarded-for": f"203.0.113.1, {address}"}
            held.enter_context(stranger(published_app, origin=PUBLIC, **forwarded))

        for _ in range(MAX_PER_ADDRESS):
            visit("198.51.100.1")
        with pytest.raises(InvalidStatus):
            visit("198.51.100.1")
        for place in range(MAX_IN_TOTAL - MAX_PER_ADDRESS):
            visit(f"198.51.100.{2 + place}")
        with pytest.raises(InvalidStatus) as refusal:
            visit("203.0.113.200")
        assert f"Visitors without a role have too many pages open (limit: {MAX_IN_TOTAL})." in str(
            refusal.value.response.body
        )
