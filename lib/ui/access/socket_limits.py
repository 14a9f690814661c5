"""What websockets may ask of Streamlit, and how many a visitor without a role may hold."""

import asyncio
import logging
from collections import Counter, deque
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network

from google.protobuf.message import DecodeError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.runtime_util import get_max_widget_state_size_bytes

from lib.api.errors import FunctionError
from lib.ui.access.loopback import is_published
from lib.ui.access.roles import role_of_request

logger = logging.getLogger(__name__)

MAX_PER_ADDRESS, MAX_IN_TOTAL = 10, 100
"""Websockets of visitors without a role. Each can make the server hold 16 MB."""
MAX_MESSAGES, MESSAGE_SECONDS = 20, 10.0
"""Messages of such a visitor on one websocket within a time; each may run the page."""
LOG_SECONDS = 60.0
"""Least time between two warnings, however many websockets are refused."""
UNREADABLE = "unreadable"
FOR_ANYBODY = {"rerun_script", "stop_script", "app_heartbeat", UNREADABLE}
WITH_A_ROLE = FOR_ANYBODY | {"file_urls_request", "backend_operation_request"}
"""Kinds of messages that our pages send. Others would clear the caches of all viewers, describe the
server's Git repository, or stop the server."""


class SocketLimits:
    """ASGI middleware that passes on what our pages say, and limits visitors without a role.

    A websocket too many is refused with 429, one that says too much is closed with code 1008.
    People with a role are not counted, so strangers cannot keep them out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()
        self._warned_at = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
        elif role_of_request(scope):
            await self._app(scope, _Messages(receive, send, WITH_A_ROLE), send)
        elif refusal := self._refusal(address := client_address(scope)):
            await refusal.response()(scope, receive, send)
        else:
            self._open[address] += 1
            try:
                limited = _Messages(receive, send, FOR_ANYBODY, MAX_MESSAGES)
                await self._app(scope, limited, send)
            finally:
                self._open -= Counter([address])

    def _refusal(self, address: str) -> FunctionError | None:
        if self._open[address] >= MAX_PER_ADDRESS:
            reason = (
                "Visitors without a role at this address have too many pages open"
                f" (limit: {MAX_PER_ADDRESS})."
            )
        elif self._open.total() >= MAX_IN_TOTAL:
            reason = f"Visitors without a role have too many pages open (limit: {MAX_IN_TOTAL})."
        else:
            return None
        if (now := asyncio.get_running_loop().time()) - self._warned_at > LOG_SECONDS:
            self._warned_at = now
            logger.warning("Refused a websocket from %s: %s", address, reason)
        return FunctionError(
            429, "too_many_pages", f"{reason} Close some and reload.", headers={"Retry-After": "30"}
        )


class _Messages:
    """`receive` without messages of other kinds, and with at most `most` in MESSAGE_SECONDS."""

    def __init__(
        self, receive: Receive, send: Send, kinds: set[str], most: int | None = None
    ) -> None:
        self._receive = receive
        self._send = send
        self._kinds = kinds
        self._times: deque[float] | None = deque(maxlen=most) if most else None

    async def __call__(self) -> Message:
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return message
            if self._is_too_fast() or message.get("bytes") is None:
                logger.info("Closed a websocket: too many messages, or text")
                await self._send({"type": "websocket.close", "code": 1008})
                return {"type": "websocket.disconnect", "code": 1008}
            if _kind(message["bytes"]) in self._kinds:
                return message

    def _is_too_fast(self) -> bool:
        if self._times is None:
            return False
        now = asyncio.get_running_loop().time()
        full = len(self._times) == self._times.maxlen
        too_fast = full and now - self._times[0] < MESSAGE_SECONDS
        self._times.append(now)
        return too_fast


def _kind(message: bytes) -> str | None:
    """The kind of a message; what cannot be read counts as one that Streamlit refuses itself."""
    if len(message) > get_max_widget_state_size_bytes():
        return UNREADABLE
    try:
        kind: str | None = BackMsg.FromString(message).WhichOneof("type")
    except DecodeError:
        return UNREADABLE
    return kind


def client_address(scope: Scope) -> str:
    """The address of a visitor; of IPv6 the network of 64 bits, all of which one visitor may have.

    In a published app it is the one that the nearest proxy has added to X-Forwarded-For, if any.
    """
    peer = scope["client"][0] if scope["client"] else ""
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")) if is_published() else ""
    for text in (forwarded.rpartition(",")[2].strip(), peer):
        with suppress(ValueError):
            address = ip_address(text)
            if isinstance(address, IPv6Address):
                return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
            return text
    return peer
