"""A TCP proxy whose network can fail."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"
Endpoint = str | tuple[str, int]
"""Path of a Unix socket, or host and port."""


class Proxy:
    """Listens on a TCP port of this machine and forwards to a server.

    While cut, its port refuses and every connection is gone. While frozen, it accepts and takes
    what is sent but lets nothing through, in either direction, until it is resumed or cut; while
    muted, requests still arrive and only their answers do not.
    """

    def __init__(self, target: Endpoint) -> None:
        self._target = target
        self._traps: list[tuple[str, bytes, str]] = []
        self._transports: set[asyncio.WriteTransport] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = {"request": asyncio.Event(), "answer": asyncio.Event()}
        self._server: asyncio.Server | None = None
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self.mode = "cut"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.resume()

    def cut(self) -> None:
        """Closes all connections and refuses new ones."""
        self._call(self._set, "cut")

    def freeze(self) -> None:
        """Becomes a black hole that forgets nothing."""
        self._call(self._set, "frozen")

    def resume(self) -> None:
        """Forwards again, first what waited while frozen."""
        asyncio.run_coroutine_threadsafe(self._resume(), self._loop).result()

    def trap_request(self, text: bytes, mode: str) -> None:
        """Goes into the mode, once, when a client sends the text, before it arrives."""
        self._call(self._traps.append, ("request", text, mode))

    def trap_answer(self, text: bytes, mode: str) -> None:
        """Goes into the mode, once, when the server answers with the text, before it arrives."""
        self._call(self._traps.append, ("answer", text, mode))

    def close(self) -> None:
        """Ends the proxy."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def _call(self, action: Callable[..., Any], *arguments: Any) -> None:
        async def act() -> None:
            action(*arguments)

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    def _set(self, mode: str) -> None:
        self.mode = mode
        self._passing["answer"].clear()
        if mode != "muted":
            self._passing["request"].clear()
        if mode != "cut" or self._server is None:
            return
        self._server.close()
        self._server = None
        # Bound but not listening: it refuses, and nobody else gets the port.
        self._reserved = _bound(self.port)
        for pump in self._pumps:
            pump.cancel()
        for transport in self._transports:
            transport.abort()

    async def _resume(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, sock=self._reserved)
        self.mode = "passing"
        for passing in self._passing.values():
            passing.set()

    async def _connected(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self._transports.add(to_client.transport)
        await self._passing["request"].wait()
        try:
            from_server, to_server = await self._open_target()
        except OSError:
            # The server itself is down: its port would refuse, the nearest thing is to hang up.
            to_client.transport.abort()
            return
        self._transports.add(to_server.transport)
        for direction, reader, writer in (
            ("request", from_client, to_server),
            ("answer", from_server, to_client),
        ):
            pump = asyncio.create_task(self._pump(direction, reader, writer))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _open_target(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(65536):
                self._spring(direction, data)
                await self._passing[direction].wait()
                writer.write(data)
                await writer.drain()
            await self._passing[direction].wait()
        except ConnectionError:
            writer.transport.abort()
        finally:
            writer.close()
            self._transports.discard(writer.transport)

    def _spring(self, direction: str, data: bytes) -> None:
        for trap in self._traps:
            if trap[0] == direction and trap[1] in data:
                self._traps.remove(trap)
                self._set(trap[2])
                return


def _bound(port: int) -> socket.socket:
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((HOST, port))
    return reserved
