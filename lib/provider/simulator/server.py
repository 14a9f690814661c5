"""Run the simulated API in a thread of this process, on the loopback interface only."""

import socket
import threading
import time
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lib.provider.simulator.app import build_app
from lib.provider.simulator.connection import publish, shared_token, withdraw
from lib.provider.simulator.faults import FaultFile

HOST = "127.0.0.1"
START_SECONDS = 10
DRAIN_SECONDS = 2
"""How long stop() waits for in-flight requests, such as those with `Prefer: wait`."""


class Simulator:
    """A simulated Replicate on this machine; callers authenticate with `token`.

    Predictions and token are stored in `folder`, which several processes may share. `speed`
    divides all run times; `failure_rate` is the fraction of predictions that fail at random, 0 to
    1; port 0 picks a free port. A stopped simulator can be restarted.
    """

    def __init__(self, folder: Path, *, speed: float, failure_rate: float, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.token = shared_token(folder)
        self._folder = folder
        self._speed = speed
        self._failure_rate = failure_rate
        self._port = port
        self._running: tuple[uvicorn.Server, threading.Thread] | None = None

    @property
    def base_url(self) -> str:
        """The URL of the API, without a trailing slash; valid once started."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> None:
        """Start the server and return once it accepts requests.

        Raises OSError if the port is taken and RuntimeError if the server does not start.
        """
        app = build_app(
            self._folder, self.token, speed=self._speed, failure_rate=self._failure_rate
        )
        config = uvicorn.Config(
            app,
            http=_faulty_protocol(FaultFile(self._folder)),
            lifespan="off",
            # Logging is configured by the process.
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        server = uvicorn.Server(config)
        listener = socket.create_server((HOST, self._port))
        self._port = listener.getsockname()[1]
        thread = threading.Thread(
            target=server.run, args=([listener],), name="replicate-simulator", daemon=True
        )
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                server.should_exit = True
                listener.close()
                raise RuntimeError("The Replicate simulator did not start; see the log.")
            time.sleep(0.01)
        self._running = server, thread
        publish(self._folder, self.base_url)

    def stop(self) -> None:
        """Stop the server and wait for it; its predictions continue by the clock."""
        if self._running is None:
            return
        server, thread = self._running
        withdraw(self._folder, self.base_url)
        server.should_exit = True
        thread.join()
        self._running = None


def _faulty_protocol(faults: FaultFile) -> type[H11Protocol]:
    class FaultyProtocol(H11Protocol):
        """HTTP protocol that drops connections while that fault is active."""

        def data_received(self, data: bytes) -> None:
            if faults.read().outage == "cut":
                self.transport.abort()
            else:
                super().data_received(data)

    return FaultyProtocol
