"""Our own PostgreSQL server, for when no database is configured.

Several processes may share the server of a folder, also from containers that do not see each
other's processes. Each holds a shared lock on `users.lock` for its lifetime, which the operating
system releases even if it is killed; a process that releases the last lock stops the server.
Starting and releasing are serialized by `change.lock`. POSIX only.
"""

import atexit
import fcntl
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from lib.database import cluster
from lib.database.errors import DatabaseError
from lib.database.file_lock import try_lock

# libpq splits a host at commas, and the path of a socket has room for 104 bytes.
SOCKET_FOLDER = re.compile(r"[\w./-]{1,80}", re.ASCII)
_handles: dict[Path, "EmbeddedPostgres"] = {}
_handles_guard = threading.Lock()


def start(folder: Path) -> "EmbeddedPostgres":
    """Start the server whose data is in the folder, creating both the first time.

    There is one handle per folder and process: calling again returns it, after restarting
    the server if it was killed or stopped. The handle is stopped when the process exits.
    Removes libpq's variables (PG…) from the environment: they belong to another database.
    Raises DatabaseError, whose message says what to do, if the folder or PostgreSQL fails.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
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
        self._alias: tempfile.TemporaryDirectory[str] | None = None

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
                if try_lock(use):
                    cluster.stop(self._data, self.url)
            if self._alias:
                self._alias.cleanup()
                self._alias = None

    def _start(self) -> None:
        with self._alone():
            if self._use is None:
                self.url = f"postgresql://postgres@/postgres?host={quote(self._socket_folder())}"
            cluster.start(self._data, self.url)
            if self._use is None:
                self._use = (self._folder / "users.lock").open("a")
                fcntl.flock(self._use, fcntl.LOCK_SH)
                atexit.register(self.stop)

    def _socket_folder(self) -> str:
        """The data folder, or a link to it with a name that can be part of a socket's path."""
        if SOCKET_FOLDER.fullmatch(str(self._data)):
            return str(self._data)
        self._alias = tempfile.TemporaryDirectory(prefix="darkroom-")
        link = Path(self._alias.name, "data")
        link.symlink_to(self._data)
        return str(link)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        path = self._folder / "change.lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("a") as lock, path.open("a") as probe:
                if not _locked(lock, probe):
                    raise DatabaseError(
                        "The embedded database needs file locks, which do not work in"
                        f" {self._folder}. Put DARKROOM_DATA on a local disk, or set"
                        " DATABASE_URL to your own database."
                    )
                yield
        except OSError as error:
            raise DatabaseError(
                f"The embedded database cannot use {self._folder}: {error}. If a file"
                " is in the way, move it. Otherwise make the folder writable for the user who runs"
                " Darkroom, or set DATABASE_URL to your own database."
            ) from error


def _locked(lock: TextIO, probe: TextIO) -> bool:
    """Wait for the lock on a file; False if locks do not work there, as on some network disks.

    `probe` is the same file, opened once more: two locks at once would be no lock.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return not try_lock(probe)
    except OSError:
        return False
