"""A token that the app prints at startup and requires of every browser when sign-in is off."""

import logging
import secrets

import streamlit as st
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from lib.settings import settings
from lib.ui.access.roles import sign_in_configured

logger = logging.getLogger(__name__)

PARAMETER = "token"
WITHOUT_TOKEN = ("/functions/v1/", "/_stcore/health")
"""The functions have keys of their own, and a container's health is no secret."""
FOR_MONITORS = ("/metrics", "/healthz")


class StartToken:
    """ASGI middleware that serves only clients with the token of this start.

    A browser sends it once in the logged address, and then in a cookie. Monitors send
    METRICS_TOKEN, and callers of the functions their keys.
    """

    def __init__(self, app: ASGIApp, url: str) -> None:
        self._app = app
        self._token = secrets.token_urlsafe(24)
        # A browser has one set of cookies for all ports of a host.
        self._cookie = f"darkroom_start_{st.get_option('server.port')}"
        logger.info("Open %s/?%s=%s", url, PARAMETER, self._token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket") or self._may_pass(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(code=1008)(scope, receive, send)
        elif self._is_token((request := HTTPConnection(scope)).query_params.get(PARAMETER)):
            url = request.url.remove_query_params(PARAMETER)
            answer = RedirectResponse(f"{url.path}?{url.query}".rstrip("?"), 303)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
            await answer(scope, receive, send)
        else:
            text = (
                "Token missing or wrong. Open the address that the app printed at startup; it"
                " contains the token.\n"
            )
            await PlainTextResponse(text, 403)(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        path = scope["path"]
        return (
            sign_in_configured()
            or path.startswith(WITHOUT_TOKEN)
            or self._is_token(HTTPConnection(scope).cookies.get(self._cookie))
            or (path in FOR_MONITORS and _is_monitor(Headers(scope=scope)))
        )

    def _is_token(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self._token.encode())


def _is_monitor(headers: Headers) -> bool:
    token, given = settings().metrics_token, headers.get("authorization", "")
    return bool(token) and secrets.compare_digest(given.encode(), f"Bearer {token}".encode())
