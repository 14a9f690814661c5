"""A database server that a test may stop and start."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from lib.database import connect, embedded
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply


class Server:
    """An embedded database server of the test's own."""

    def __init__(self, folder: Path, eventually: Callable[..., Any]) -> None:
        self._folder = folder
        self._eventually = eventually
        self.start()
        with connect(self.url) as connection:
            bootstrap(connection)
            apply(connection)

    def start(self) -> None:
        """Starts it, again if it was stopped; returns once it answers."""
        self.url = embedded.start(self._folder).url

    def stop(self, how: signal.Signals) -> None:
        """SIGINT disconnects everybody, SIGQUIT leaves like a crash; returns once it is gone."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        process = psutil.Process(pid)
        os.kill(pid, how)
        self._eventually(
            lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        )

    def end(self) -> None:
        """Stops it for good."""
        self.start()
        embedded.start(self._folder).stop()
