"""Our own PostgreSQL server, for when no database is configured.

Several processes may share the server of a folder. Each holds a shared lock on `users.lock`
for its lifetime, which the operating system releases even if it is killed; a process that
releases the last lock stops the server. Starting and releasing are serialized by
`change.lock`. POSIX only.
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

    There is one handle per folder and process: calling again returns it, after restarting
    the server if it was killed or stopped. The handle is stopped when the process exits.
    Raises DatabaseError, whose message says what to do, if the folder or PostgreSQL fails.
    """
    folder = folder.expanduser().resolve()
    with _handles_guard:
        handle = _handles.setdefault(folder, EmbeddedPostgres(folder))
        handle._start()
        return handle


class EmbeddedPostgres:
    """This process's handle on an embedded server; created by `start`."""

    description = f"embedded PostgreSQL {cluster.VERSION}"
    """For display."""
    url: str
    """The superuser's URL of database `postgres`, through a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._use: TextIO | None = None

    def stop(self) -> None:
        """Release the server; the last process to do so stops it. Idempotent.

        Raises DatabaseError if PostgreSQL does not stop or the folder is inaccessible.
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
