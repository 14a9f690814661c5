"""Limits of size and time for request bodies."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lib.api.errors import FunctionError


class BodyLimit:
    """ASGI middleware that refuses bodies that are too large (413) or arrive too slowly (408).

    `receive` raises the FunctionError, so that an endpoint can answer in its own way. How long a
    request's line and headers may take is the server's or a proxy's business.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        received, complete, answered = 0, False, False

        async def limited_receive() -> Message:
            nonlocal received, complete
            if complete:
                # What comes now is that the client has gone.
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise _refusal(
                    408, "too_slow", f"The request body took longer than {self._seconds:g} seconds."
                ) from None
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise _refusal(
                    413,
                    "too_large",
                    f"The request body is larger than {self._max_bytes // 1024} KiB.",
                )
            complete = not message.get("more_body", False)
            return message

        async def noted_send(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, limited_receive, noted_send)
        except FunctionError as error:
            if answered:
                raise
            await error.response()(scope, receive, send)


def _refusal(status: int, code: str, message: str) -> FunctionError:
    # The rest of the body would be read as the next request.
    return FunctionError(status, code, message, headers={"Connection": "close"})
