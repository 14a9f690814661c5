"""The protocol of Supabase Realtime, 1.0.0 as of supabase-py and 2.0.0 as of supabase-js."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect


@dataclass
class Channel:
    """A channel of a websocket, and what is told there to whom."""

    websocket: WebSocket
    topic: str
    join_ref: str | None
    binding: dict[str, Any] = field(default_factory=dict)
    bearer: str = ""

    async def send(self, event: str, payload: dict[str, Any], ref: str | None = None) -> None:
        """Send a message in the websocket's version of the protocol."""
        message: Any = {"topic": self.topic, "event": event, "payload": payload, "ref": ref}
        if _is_version_2(self.websocket):
            message = [self.join_ref, ref, self.topic, event, payload]
        with suppress(WebSocketDisconnect):  # the client may leave at any moment
            await self.websocket.send_json(message)


def _is_version_2(websocket: WebSocket) -> bool:
    return websocket.query_params.get("vsn") == "2.0.0"


def received(websocket: WebSocket, text: str) -> tuple[Channel, str, str, dict[str, Any]]:
    """The channel, reference, event and payload of a message."""
    message = json.loads(text)
    if _is_version_2(websocket):
        join_ref, ref, topic, event, payload = message
    else:
        join_ref, ref = message.get("join_ref"), message["ref"]
        topic, event, payload = message["topic"], message["event"], message["payload"]
    return Channel(websocket, topic, join_ref), ref, event, payload
