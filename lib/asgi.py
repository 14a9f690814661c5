"""The functions and a worker on a server of their own, without the control room.

    uvicorn lib.asgi:app --host 0.0.0.0 --port 8080

Runs several at once, on any number of machines: they share the queue through the database.
"""

import sys

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lib import logs
from lib.api import metrics
from lib.api.routes import routes
from lib.database import DatabaseError
from lib.service import Service, refuse_other_schema
from lib.settings import SettingsError, settings

logs.configure()
try:
    chosen = settings()
    # Here, because the server would show an error of its lifespan as a traceback.
    refuse_other_schema(chosen)
except (SettingsError, DatabaseError) as error:
    sys.exit(f"Darkroom cannot start: {error}")
service = Service(chosen, with_worker=True)
app = Starlette(
    lifespan=service.lifespan,
    routes=[
        *routes(lambda: service.functions),
        *metrics.routes(lambda: service.pool, chosen),
        Mount("/images", StaticFiles(directory=chosen.images, check_dir=False)),
    ],
)
