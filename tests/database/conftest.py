"""What the tests of connections share: other ways to the run's server, and clusters to break."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environment import data_folder
from psycopg.conninfo import conninfo_to_dict

from lib.database import connect, embedded
from lib.database.pool import Connection

SECRET = "hunter2-sesame"


@pytest.fixture
def conn(postgres: embedded.EmbeddedPostgres) -> Iterator[Connection]:
    """A connection to the run's server, for what leaves nothing behind."""
    with connect(postgres.url) as conn:
        yield conn


@pytest.fixture
def terminate(postgres: embedded.EmbeddedPostgres) -> Iterator[Callable[[str], None]]:
    """Disconnect every connection with an application name, and wait until they are gone."""
    with connect(postgres.url) as admin:

        def disconnect(application_name: str) -> None:
            terminated = admin.execute(
                "select pg_terminate_backend(pid, 10000) as gone from pg_stat_activity"
                " where application_name = %s",
                [application_name],
            ).fetchall()
            assert terminated, f"nobody is connected as {application_name}"
            assert all(row["gone"] for row in terminated)

        yield disconnect


@pytest.fixture
def door(postgres: embedded.EmbeddedPostgres) -> Iterator[Callable[[int], str]]:
    """Open one more way to the run's server, at a folder that can be known before."""
    sockets = Path(str(conninfo_to_dict(postgres.url)["host"]))
    # Short, unlike pytest's folders: the path of a socket has room for 104 bytes.
    folder = Path(tempfile.mkdtemp(prefix="darkroom-door-"))

    def url(port: int, *, opened: bool = True) -> str:
        if opened:
            (folder / f".s.PGSQL.{port}").symlink_to(sockets / ".s.PGSQL.5432")
        return f"postgresql://postgres:{SECRET}@/postgres?host={folder}&port={port}"

    yield url
    shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where an embedded server can be started for the first time."""
    parent = data_folder("test")
    yield parent / "embedded"
    shutil.rmtree(parent)


@pytest.fixture(scope="session")
def reused() -> Iterator[tuple[Path, embedded.EmbeddedPostgres]]:
    """One server, stopped, and its folder: shared, since the first start takes longest."""
    parent = data_folder("test")
    server = embedded.start(parent / "embedded")
    server.stop()
    yield parent / "embedded", server
    shutil.rmtree(parent)


@pytest.fixture
def used_folder(reused: tuple[Path, embedded.EmbeddedPostgres]) -> Iterator[Path]:
    """The folder of a server that is stopped; whatever a test leaves running is stopped."""
    folder, server = reused
    yield folder
    server.stop()


@pytest.fixture
def own_server(used_folder: Path) -> embedded.EmbeddedPostgres:
    """That server, running, for what cannot be done to the server of the run."""
    return embedded.start(used_folder)


@pytest.fixture
def waiting(postgres: embedded.EmbeddedPostgres) -> Iterator[Callable[[], int]]:
    """Count the sessions of the run's server that wait for a lock."""
    with connect(postgres.url) as admin:

        def count() -> int:
            waits = "select distinct pid from pg_locks where not granted"
            return len(admin.execute(waits).fetchall())

        yield count
