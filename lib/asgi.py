"""The HTTP functions and a worker as a standalone server, without the control room.

    uvicorn lib.asgi:app --host 0.0.0.0 --port 8080

Any number of these can run on any number of machines: they share the queue in the database.
"""

import sys

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lib import logs
from lib.api import metrics
from lib.api.routes import routes
from lib.service import Service
from lib.settings import SettingsError, settings

logs.configure()
try:
    config = settings()
except SettingsError as error:
    sys.exit(f"Darkroom cannot start: {error}")
service = Service(config, with_worker=True)
app = Starlette(
    lifespan=service.lifespan,
    routes=[
        *routes(lambda: service.functions),
        *metrics.routes(lambda: service.pool, config),
        Mount("/images", StaticFiles(directory=config.images, check_dir=False)),
    ],
)
