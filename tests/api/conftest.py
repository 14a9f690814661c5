"""The functions over real HTTP: the composition that the app serves, without its pages."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from lib.api.routes import routes
from lib.resources import project_keys
from lib.service import Service
from lib.settings import Settings, parse
from lib.settings.keys import Keys


@dataclass(frozen=True)
class Served:
    url: str
    keys: Keys
    settings: Settings
    stop: Callable[[], None]


@pytest.fixture
def more_settings() -> dict[str, str]:
    """What else is set, for a file of tests to say."""
    return {}


@pytest.fixture
def served(
    database: str,
    tmp_path: Path,
    more_settings: dict[str, str],
    eventually: Callable[..., Any],
) -> Iterator[Served]:
    settings = parse(
        {
            "DATABASE_URL": database,
            "DARKROOM_DATA": str(tmp_path),
            "DARKROOM_SIMULATOR_SPEED": "200",
            "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
            "DARKROOM_ANONYMOUS_STARTS": "1",
        }
        | more_settings
    )
    service = Service(settings)
    app = Starlette(routes=routes(lambda: service.functions), lifespan=service.lifespan)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
    thread = Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]

    def stop() -> None:
        server.should_exit = True
        thread.join()

    yield Served(f"http://127.0.0.1:{port}", project_keys(settings), settings, stop)
    stop()


@pytest.fixture
def call(served: Served) -> Iterator[Callable[..., httpx.Response]]:
    """POSTs JSON to a function, with the secret key unless told otherwise."""
    with httpx.Client(base_url=f"{served.url}/functions/v1", timeout=60) as client:

        def post(function: str, json: Any = None, **options: Any) -> httpx.Response:
            options.setdefault("headers", {"apikey": served.keys.secret})
            if json is not None:
                options["json"] = json
            return client.post(f"/{function}", **options)

        yield post
