"""Security headers for every response."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # No other site may show a page of ours in a frame and guide clicks on it.
    "Content-Security-Policy": "frame-ancestors 'self'",
    # Images that users made are never read as scripts or pages.
    "X-Content-Type-Options": "nosniff",
    # Addresses of pages contain what was searched for.
    "Referrer-Policy": "same-origin",
}


class SecurityHeaders:
    """ASGI middleware that adds the HEADERS to every HTTP response that does not have its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
