"""The front door: as a script the navigation, as a module the ASGI app that serves it."""

import sys
from dataclasses import replace
from urllib.parse import urlsplit

import streamlit as st

from lib.navigation import navigation

if __name__ == "__main__":
    navigation().run()
else:
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles
    from streamlit.runtime.pages_manager import PagesManager

    # Charts for their libraries: the first visit would wait half a second for pandas and Altair.
    from lib import charts, logs, metrics  # noqa: F401
    from lib.access.middleware import ClosedBeyondLoopback
    from lib.assets import Assets
    from lib.dashboard import own_url
    from lib.database import DatabaseError
    from lib.functions.routes import routes
    from lib.service import Service, refuse_other_schema
    from lib.setting_values import SettingsError
    from lib.settings import settings

    logs.configure()
    try:
        chosen = settings()
        # Here, because the server would show an error of its lifespan as a traceback.
        refuse_other_schema(chosen)
    except (SettingsError, DatabaseError) as error:
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
