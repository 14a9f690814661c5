"""Which messages of a websocket reach Streamlit, and by which address a visitor counts."""

from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState

from lib.ui.access import socket_limits
from lib.ui.access.socket_limits import SocketLimits, client_address


@pytest.mark.parametrize(
    ("published", "forwarded", "address"),
    [
        (False, ["203.0.113.1"], "192.0.2.1"),
        (True, [], "192.0.2.1"),
        (True, ["203.0.113.1"], "203.0.113.1"),
        (True, ["203.0.113.1, 203.0.113.2"], "203.0.113.2"),
        (True, ["203.0.113.1", "203.0.113.2"], "203.0.113.2"),
        (True, ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (True, ["::ffff:203.0.113.1"], "203.0.113.1"),
        (True, ["unknown"], "192.0.2.1"),
    ],
)
def test_the_address_of_a_visitor(
    monkeypatch: pytest.MonkeyPatch, published: bool, forwarded: list[str], address: str
) -> None:
    monkeypatch.setattr(socket_limits, "is_published", lambda: published)
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    scope = {"type": "websocket", "client": ("192.0.2.1", 5), "headers": headers}
    assert client_address(scope) == address


@pytest.mark.parametrize(
    ("data", "passed"),
    [
        (b"\xff\xff", True),  # Streamlit closes the connection.
        (bytes(2_000_000), True),
        (BackMsg(clear_cache=True).SerializeToString(), False),
        (BackMsg(debug_shutdown_runtime=True).SerializeToString(), False),
        (BackMsg(rerun_script=ClientState()).SerializeToString(), True),
        (b"", False),
    ],
)
async def test_which_messages_are_passed_on(
    monkeypatch: pytest.MonkeyPatch, data: bytes, passed: bool
) -> None:
    heard = []
    messages = [
        {"type": "websocket.receive", "bytes": data},
        {"type": "websocket.disconnect", "code": 1000},
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            heard.append(message["bytes"])

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        pass

    monkeypatch.setattr(socket_limits, "role_of_request", lambda scope: None)
    scope = {"type": "websocket", "client": ("192.0.2.1", 5), "headers": []}
    await SocketLimits(app)(scope, receive, send)
    assert heard == [data] * passed
