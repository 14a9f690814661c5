"""Entry point: run as a script, the navigation; imported as a module, the ASGI app."""

import sys
from urllib.parse import urlsplit

import streamlit as st

from lib.ui.navigation import navigation

if __name__ == "__main__":
    navigation().run()
else:
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles
    from streamlit.runtime.pages_manager import PagesManager

    # Charts only for their imports: the first visit would wait half a second for pandas and Altair.
    from lib import logs
    from lib.api import metrics
    from lib.api.routes import routes
    from lib.database import DatabaseError
    from lib.service import Service, refuse_other_schema
    from lib.settings import SettingsError, settings
    from lib.ui import charts  # noqa: F401
    from lib.ui.access.middleware import LoopbackOnly
    from lib.ui.assets import AssetCache
    from lib.ui.dashboard import app_url

    logs.configure()
    try:
        config = settings()
        # Checked here because the server shows an error of its lifespan as a traceback.
        refuse_other_schema(config)
    except (SettingsError, DatabaseError) as error:
        sys.exit(f"Darkroom cannot start: {error}")
    # st.navigation sets this too, but too late if the first visit is a deep link: because of the
    # folder's name, Streamlit would run that page without this script.
    PagesManager.uses_pages_directory = False
    service = Service(config)
    host = urlsplit(app_url()).hostname or ""
    api_routes = [
        *routes(lambda: service.functions),
        Mount("/images", StaticFiles(directory=config.images, check_dir=False)),
    ]
    app = st.App(
        "app.py",
        lifespan=service.lifespan,
        # Monitors call from other machines without signing in: /metrics has its own token.
        routes=[
            *api_routes,
            *metrics.routes(lambda: service.pool, lambda: service.worker_ended, config),
        ],
        # Streamlit's allowedHosts guards only the websocket; this stops DNS rebinding for the rest.
        middleware=[
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=[
                    *("localhost", "127.0.0.1", "[::1]"),
                    f"[{host}]" if ":" in host else host,
                ],
            ),
            Middleware(LoopbackOnly, routes=api_routes),
            Middleware(AssetCache),
        ],
    )
