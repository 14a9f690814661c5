"""Applies the pages' rules of access to HTTP and websockets, before Streamlit sees them."""

import logging
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from lib.api.errors import FunctionError
from lib.api.loopback import is_local_request, origin_is, origin_is_host
from lib.settings import settings
from lib.ui.access.loopback import is_exposed, is_published
from lib.ui.access.roles import role_of_request, sign_in_configured

logger = logging.getLogger(__name__)

CORE = "/_stcore/"
"""Where Streamlit's own routes are, below any base path."""
FOR_ANYBODY = ("health", "host-config", "bidi-components/")
"""Those that a page needs before sign-in."""
WITH_A_ROLE = "upload_file/"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class AccessGuard:
    """ASGI middleware in front of the whole app.

    - Websockets, and all that changes something at Streamlit's own routes, must come from a page
      of this app: by their Origin.
    - Of Streamlit's own routes only those that our pages need are served; storing files there needs
      a role.
    - Without sign-in, `routes` answer local requests only.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            if _from_own_page(headers := Headers(scope=scope)):
                await self._app(_at_the_page(scope), receive, send)
                return
            logger.warning(
                "Refused a websocket from a page at %s, because this app is at %s. A proxy needs"
                " sign-in and DARKROOM_URL: docs/operating.md, Publishing the dashboard.",
                headers.get("origin", "unknown")[:200],
                settings().public_url or headers.get("host"),
            )
            await WebSocketClose(code=1008)(scope, receive, send)
        elif scope["type"] == "http" and (refusal := self._refusal(scope)):
            await refusal.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> FunctionError | None:
        _, core, name = scope["path"].partition(CORE)
        if core:
            return _core_refusal(scope, name)
        if sign_in_configured() or all(
            route.matches(scope)[0] is Match.NONE for route in self._routes
        ):
            return None
        peer = scope["client"][0] if scope["client"] else None
        if not is_exposed() and is_local_request(peer, Headers(scope=scope)):
            return None
        return FunctionError(
            403,
            "closed",
            "Sign-in is not configured, so this app accepts requests only from the computer it"
            " runs on.",
        )


def _core_refusal(scope: Scope, name: str) -> FunctionError | None:
    """Why a request for one of Streamlit's own routes is refused, if it is."""
    if scope["method"] not in SAFE_METHODS and not _from_own_page(Headers(scope=scope)):
        return FunctionError(403, "other_origin", "Only pages of this app may send this request.")
    if name.startswith(FOR_ANYBODY):
        return None
    if not name.startswith(WITH_A_ROLE):
        return FunctionError(404, "not_found", "Not found.")
    if role_of_request(scope) is None:
        return FunctionError(403, "no_role", "Sign in first.")
    return None


def _at_the_page(scope: Scope) -> Scope:
    """A websocket's scope with the page's host as Host: Streamlit compares it with Origin.

    A proxy may have sent another.
    """
    headers = MutableHeaders(raw=list(scope["headers"]))
    headers["host"] = headers["origin"].partition("://")[2]
    return {**scope, "headers": headers.raw}


def _from_own_page(headers: Headers) -> bool:
    """Whether a browser sent the request from a page of this app.

    Where the app is published, its pages are at DARKROOM_URL, whatever Host a proxy sends.
    """
    url = settings().public_url
    if url and origin_is(headers, url):
        return True
    # An app that is published without sign-in shows on this computer how to configure it.
    return origin_is_host(headers) and not (is_published() and sign_in_configured())
