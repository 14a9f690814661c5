"""The HTTP functions and a worker as a standalone server, without the control room.

    uvicorn lib.asgi:app --host 0.0.0.0 --port 8080

Any number of these can run on any number of machines: they share the queue in the database.
"""

import sys

from starlette.applications import Starlette
from starlette.middleware import Middleware

from lib import logs, memory
from lib.api import metrics
from lib.api.images import image_route
from lib.api.routes import routes
from lib.api.security_headers import SecurityHeaders
from lib.database import DatabaseError
from lib.service import Service, refuse_other_schema
from lib.settings import SettingsError, settings

logs.configure()
memory.limit_arenas()
try:
    config = settings()
    service = Service(config, with_worker=True)
    # Checked here because the server shows an error of its lifespan as a traceback.
    refuse_other_schema(config)
except (SettingsError, DatabaseError) as error:
    sys.exit(f"Darkroom cannot start: {error}")
app = Starlette(
    lifespan=service.lifespan,
    routes=[
        *routes(lambda: service.functions),
        *metrics.routes(lambda: service.pool, lambda: service.worker_ended, config),
        image_route(config.images),
    ],
    middleware=[Middleware(SecurityHeaders)],
)
