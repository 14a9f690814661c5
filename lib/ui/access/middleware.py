"""Applies the pages' loopback rule to our HTTP routes."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.api.errors import FunctionError
from lib.api.loopback import is_local_request
from lib.ui.access.loopback import is_exposed
from lib.ui.access.roles import sign_in_configured


class LoopbackOnly:
    """ASGI middleware that limits our routes to local requests while sign-in is not configured."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and self._is_refused(scope):
            answer = FunctionError(
                403, "closed", "There is no sign-in, so this app serves its own computer only."
            ).response()
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_refused(self, scope: Scope) -> bool:
        if sign_in_configured() or all(
            route.matches(scope)[0] is Match.NONE for route in self._routes
        ):
            return False
        peer = scope["client"][0] if scope["client"] else None
        return is_exposed() or not is_local_request(peer, Headers(scope=scope))
