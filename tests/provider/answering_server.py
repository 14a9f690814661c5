"""A server that answers what a test wants."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response


class Server:
    """Answers each request with the next of its answers, the last one from then on."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def prepare(self, *answers: Response | Callable[[Request], Response]) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers)

    async def __call__(self, scope, receive, send) -> None:
        request = Request(scope, receive)
        await request.body()
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        response = answer if isinstance(answer, Response) else answer(request)
        await response(scope, receive, send)


@contextmanager
def running(**options: Any) -> Iterator[Server]:
    """A server, with options of uvicorn's."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "https" if "ssl_certfile" in options else "http"
    server = Server(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(server, lifespan="off", log_config=None, access_log=False, **options)
    runner = uvicorn.Server(config)
    # Listening already: a request made before the thread serves waits for it.
    thread = threading.Thread(target=runner.run, args=([listener],), daemon=True)
    thread.start()
    yield server
    runner.should_exit = True
    thread.join()
