"""A PostgreSQL server of our own, for a machine where no database is configured.

Several processes may use the server of one folder. Each holds a shared lock on
`users.lock` for as long as it lives, so the operating system itself strikes a killed
process off the list; whoever leaves and finds no other holder stops the server. Starting
and leaving happen one at a time, under `change.lock`. POSIX only.
"""

import atexit
import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lib.database import cluster
from lib.database.errors import DatabaseError

_handles: dict[Path, "EmbeddedPostgres"] = {}
_handles_guard = threading.Lock()


def start(folder: Path) -> "EmbeddedPostgres":
    """Start the server whose data is in the folder, creating both the first time.

    There is one handle per folder in a process: calling again returns it, after starting
    the server again if it was killed or stopped. The exit of the process stops the handle.
    Raises DatabaseError, saying what to do, when the folder or PostgreSQL refuses.
    """
    folder = folder.expanduser().resolve()
    with _handles_guard:
        handle = _handles.setdefault(folder, EmbeddedPostgres(folder))
        handle._start()
        return handle


class EmbeddedPostgres:
    """This process's use of one embedded server; made by `start`."""

    description = f"embedded PostgreSQL {cluster.VERSION}"
    """For display."""
    url: str
    """The superuser's URL of database `postgres`, through a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._use: TextIO | None = None

    def stop(self) -> None:
        """Leave the server; the last process to leave stops it. Harmless when repeated.

        Raises DatabaseError when PostgreSQL does not stop or the folder is out of reach.
        """
        with self._alone():
            atexit.unregister(self.stop)
            if self._use is None:
                return
            with self._use as use:
                self._use = None
                if _is_last(use):
                    cluster.stop(self._data)

    def _start(self) -> None:
        with self._alone():
            self.url = cluster.start(self._data)
            if self._use is None:
                self._use = (self._folder / "users.lock").open("a")
                fcntl.flock(self._use, fcntl.LOCK_SH)
                atexit.register(self.stop)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "change.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise DatabaseError(
                f"The embedded database cannot use {self._folder}: {error}. Move away what is in"
                " its place, give the folder to the user who runs Darkroom, or set DATABASE_URL to"
                " a database of your own."
            ) from error


def _is_last(use: TextIO) -> bool:
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
