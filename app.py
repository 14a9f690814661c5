"""Entry point: run as a script, the navigation; imported as a module, the ASGI app."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import streamlit as st

from lib.ui.navigation import navigation

if __name__ == "__main__":
    navigation().run()
else:
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from streamlit.runtime.pages_manager import PagesManager

    # Charts only for their imports: the first visit would wait half a second for pandas and Altair.
    from lib import logs, memory
    from lib.api import metrics
    from lib.api.body_limit import BodyLimit
    from lib.api.images import image_route
    from lib.api.routes import routes
    from lib.api.security_headers import SecurityHeaders
    from lib.database import DatabaseError
    from lib.service import Service, refuse_other_schema
    from lib.settings import SettingsError, settings
    from lib.ui import charts  # noqa: F401
    from lib.ui.access.middleware import AccessGuard
    from lib.ui.access.roles import role_of_request, sign_in_configured
    from lib.ui.access.socket_limits import SocketLimits
    from lib.ui.access.start_token import StartToken
    from lib.ui.assets import AssetCache
    from lib.ui.dashboard import app_url

    logger = logging.getLogger(__name__)
    logs.configure()
    memory.limit_arenas()
    try:
        config = settings()
        service = Service(config)
        # Checked here because the server shows an error of its lifespan as a traceback.
        refuse_other_schema(config)
    except (SettingsError, DatabaseError) as error:
        sys.exit(f"Darkroom cannot start: {error}")
    # st.navigation sets this too, but too late if the first visit is a deep link: because of the
    # folder's name, Streamlit would run that page without this script.
    PagesManager.uses_pages_directory = False

    @asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[None]:
        async with service.lifespan(app):
            if not config.start_token:
                # Streamlit prints the address too, but before the database is ready.
                logger.info("Darkroom is ready: open %s", app_url())
            yield

    host = urlsplit(app_url()).hostname or ""
    api_routes = [
        *routes(lambda: service.functions),
        image_route(config.images),
    ]
    app = st.App(
        "app.py",
        lifespan=lifespan,
        # Monitors call from other machines without signing in: /metrics has its own token.
        routes=[
            *api_routes,
            *metrics.routes(
                lambda: service.pool,
                lambda: service.worker_ended,
                config,
                has_role=lambda request: (
                    sign_in_configured() and bool(role_of_request(request.scope))
                ),
            ),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            # An upload with its framing; the functions have a smaller limit.
            Middleware(BodyLimit, max_bytes=26 * 2**20, seconds=120),
            # Stops DNS rebinding, for websockets too.
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=[
                    *("localhost", "127.0.0.1", "[::1]"),
                    f"[{host}]" if ":" in host else host,
                ],
            ),
            *([Middleware(StartToken, url=app_url())] if config.start_token else []),
            Middleware(AccessGuard, routes=api_routes),
            Middleware(SocketLimits),
            Middleware(AssetCache),
        ],
    )
