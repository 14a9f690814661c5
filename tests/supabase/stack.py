"""A Supabase project without the cloud: what is ours is real, what is theirs stands in.

PostgreSQL 15 with pg_cron behind pgbouncer in transaction mode; under the project's address its
Auth, Realtime, PostgREST, Storage and public keys as far as supabase-py speaks to them; and under
another one our functions and a worker, as on a hosted project.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from cron_server import cron_server
from pooler import pgbouncer
from starlette.applications import Starlette
from storage_stand_in import Bucket
from supabase_project import Project

from lib.api.routes import routes
from lib.database import connect
from lib.service import Service
from lib.settings import parse

PUBLISHABLE, SECRET = "sb_publishable_of_the_stack", "sb_secret_of_the_stack"
BUCKET = "images"


@dataclass(frozen=True)
class Stack:
    direct_url: str
    """Past pgbouncer, for the test itself."""
    settings: dict[str, str]
    """What a deployment on the project has in its environment."""
    bucket: Bucket
    project: Project


@contextmanager
def stack(folder: Path, eventually: Callable[..., Any]) -> Iterator[Stack]:
    """The project, running."""
    with cron_server() as direct, pgbouncer(direct, folder, eventually, 6543) as pooled:
        project = Project(direct, PUBLISHABLE, SECRET, jwt_secret=None)
        bucket = Bucket(BUCKET, SECRET, public=False)
        settings = {
            "DATABASE_URL": pooled,
            "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
            "SUPABASE_SECRET_KEY": SECRET,
            "SUPABASE_STORAGE_BUCKET": BUCKET,
            "SUPABASE_STORAGE_URL_SECONDS": "3600",
            "DARKROOM_DATA": str(folder),
            "DARKROOM_SIMULATOR_SPEED": "100",
            "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
        }
        theirs = Starlette(routes=[*project.routes, *bucket.routes], lifespan=project.lifespan)
        with served(theirs, eventually) as url:
            settings |= {"SUPABASE_URL": url}
            service = Service(parse(settings), with_worker=True)
            ours = Starlette(routes=routes(lambda: service.functions), lifespan=service.lifespan)
            with served(ours, eventually) as functions:
                settings |= {"DARKROOM_FUNCTIONS_URL": functions}
                yield Stack(direct, settings, bucket, project)


@contextmanager
def served(app: Starlette, eventually: Callable[..., Any]) -> Iterator[str]:
    """The address under which an app answers."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def rows(url: str, query: str) -> list[dict[str, Any]]:
    with connect(url) as connection:
        return connection.execute(query.encode()).fetchall()
