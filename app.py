"""The front door: as a script the navigation, as a module the ASGI app that serves it."""

import sys
from dataclasses import replace
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

    # Charts for their libraries: the first visit would wait half a second for pandas and Altair.
    from lib import logs
    from lib.api import metrics
    from lib.api.routes import routes
    from lib.service import Service
    from lib.settings import SettingsError, settings
    from lib.ui import charts  # noqa: F401
    from lib.ui.access.middleware import ClosedBeyondLoopback
    from lib.ui.assets import Assets
    from lib.ui.dashboard import own_url

    logs.configure()
    try:
        chosen = settings()
    except SettingsError as error:
        sys.exit(f"Darkroom cannot start: {error}")
    # st.navigation would say so too, but too late for a first visit that is a link to a page:
    # the folder's name alone would make Streamlit run that page without this script.
    PagesManager.uses_pages_directory = False
    service = Service(replace(chosen, public_url=own_url()))
    ours = [
        *routes(lambda: service.functions),
        Mount("/images", StaticFiles(directory=chosen.images, check_dir=False)),
    ]
    app = st.App(
        "app.py",
        lifespan=service.lifespan,
        # Monitors ask from elsewhere, without a sign-in: /metrics has its own token.
        routes=[*ours, *metrics.routes(lambda: service.pool, chosen)],
        # Streamlit's allowedHosts guards only the websocket; this stops DNS rebinding elsewhere.
        middleware=[
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=["localhost", "127.0.0.1", "[::1]", urlsplit(own_url()).hostname],
            ),
            Middleware(ClosedBeyondLoopback, routes=ours),
            Middleware(Assets),
        ],
    )
