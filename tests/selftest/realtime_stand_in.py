"""Speaks Supabase Realtime's protocol for changes of image_generations."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from lib.database import notifications


def realtime(database: str) -> Callable[[WebSocket], Awaitable[None]]:
    """The endpoint of a project whose database has the trigger that tells changes."""

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        telling = None
        try:
            while True:
                message = json.loads(await socket.receive_text())
                if message["event"] == "phx_join":
                    [asked] = message["payload"]["config"]["postgres_changes"]
                    await reply(socket, message, {"postgres_changes": [asked | {"id": 1}]})
                    telling = asyncio.create_task(tell(socket, message["topic"], asked))
                else:
                    await reply(socket, message, {})
        except WebSocketDisconnect:
            if telling:
                telling.cancel()

    async def tell(socket: WebSocket, topic: str, asked: dict[str, Any]) -> None:
        async for generation_id in notifications(database, "image_generations"):
            if asked["filter"] == f"id=eq.{generation_id}":
                await socket.send_json(changed(topic, generation_id))

    return serve


async def reply(socket: WebSocket, message: dict[str, Any], response: dict[str, Any]) -> None:
    payload = {"status": "ok", "response": response}
    answer = {"event": "phx_reply", "topic": message["topic"], "ref": message.get("ref")}
    await socket.send_json(answer | {"payload": payload})


def changed(topic: str, generation_id: str) -> dict[str, Any]:
    data = {
        "schema": "public",
        "table": "image_generations",
        "type": "UPDATE",
        "commit_timestamp": "2026-11-24T00:00:00Z",
        "columns": [{"name": "id", "type": "uuid"}],
        "record": {"id": generation_id},
        "old_record": {"id": generation_id},
        "errors": None,
    }
    payload = {"ids": [1], "data": data}
    return {"event": "postgres_changes", "topic": topic, "ref": None, "payload": payload}
