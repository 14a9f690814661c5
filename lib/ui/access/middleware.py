"""The HTTP side of it: what lies beside the pages is closed where they are."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.api.errors import FunctionError
from lib.api.loopback import from_here
from lib.ui.access.loopback import published
from lib.ui.access.roles import sign_in_configured


class ClosedBeyondLoopback:
    """Refuses our own routes to everybody else while there is no sign-in."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http" and self._is_closed(scope):
            answer = FunctionError(
                403, "closed", "There is no sign-in, so this app serves its own computer only."
            ).response()
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_closed(self, scope: Scope) -> bool:
        if sign_in_configured() or all(
            route.matches(scope)[0] is Match.NONE for route in self._routes
        ):
            return False
        peer = scope["client"][0] if scope["client"] else None
        return published() or not from_here(peer, Headers(scope=scope))
