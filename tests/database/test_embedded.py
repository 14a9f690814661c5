"""The embedded server under what happens on real machines: kills, races, odd folders."""

import errno
import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from lib.database import DatabaseError, cluster, connect, embedded

ROOT = Path(__file__).parents[2]
APP = """
import sys
from pathlib import Path
from lib.database import connect, embedded
server = embedded.start(Path(sys.argv[1]))
with connect(server.url) as conn:
    conn.execute("select 1")
print(server.url, flush=True)
sys.stdin.read()
"""


class App:
    """An app in a process of its own, using the embedded server of a folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", APP, str(folder)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def exit(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., App]]:
    """Start apps in processes of their own."""
    apps: list[App] = []

    def start(folder: Path, **environment: str) -> App:
        apps.append(App(folder, os.environ | environment))
        return apps[-1]

    yield start
    for app in apps:
        app.kill()


def socket_folder(url: str) -> Path:
    return Path(str(conninfo_to_dict(url)["host"]))


def wake_soon(process: psutil.Process) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -CONT {process.pid}"])


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))


def kill_server(folder: Path) -> None:
    process = postmaster(folder)
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def test_two_first_starts_share_a_server_until_the_last_exits(
    folder: Path, start: Callable[..., App]
) -> None:
    one, two = start(folder), start(folder)
    url = one.url()
    assert two.url() == url
    one.exit()
    assert answers(url)
    two.exit()
    assert not answers(url)


def test_killed_app_does_not_keep_the_server_running(
    used_folder: Path, start: Callable[..., App]
) -> None:
    killed = start(used_folder)
    url = killed.url()
    killed.kill()
    assert answers(url), "nobody was left to stop it"
    following = start(used_folder)
    assert following.url() == url
    following.exit()
    assert not answers(url)


def test_locale_that_is_not_installed_does_not_matter(
    folder: Path, start: Callable[..., App]
) -> None:
    app = start(folder, LC_ALL="xx_YY.UTF-8", LANG="xx_YY.UTF-8")
    with connect(app.url()) as conn:
        shown = conn.execute("select upper('é') as upper, 'a' < 'B' as sorted").fetchone()
    assert shown == {"upper": "É", "sorted": False}
    app.exit()


def test_environment_that_is_meant_for_another_database_does_not_matter(
    folder: Path, start: Callable[..., App]
) -> None:
    variables = {
        option.envvar.decode(): "nonsense" for option in Conninfo.get_defaults() if option.envvar
    }
    assert "PGHOSTADDR" in variables
    variables |= dict.fromkeys(("PGSERVICE", "PGSERVICEFILE", "PGDATA", "PGTZ", "PGDATESTYLE"), "?")
    app = start(folder, **variables)
    assert answers(app.url())
    app.exit()


def test_data_outlives_a_stop_and_stop_can_be_repeated(used_folder: Path) -> None:
    server = embedded.start(used_folder)
    with connect(server.url) as conn:
        conn.execute("drop table if exists kept; create table kept as select 1 as value")
    server.stop()
    server.stop()
    assert not answers(server.url)
    assert embedded.start(used_folder) is server
    with connect(server.url) as conn:
        assert conn.execute("select value from kept").fetchall() == [{"value": 1}]
    server.stop()


def test_killed_server_recovers_at_the_next_start(used_folder: Path) -> None:
    server = embedded.start(used_folder)
    with connect(server.url) as conn:
        conn.execute("drop table if exists kept; create table kept as select 1 as value")
    kill_server(used_folder)
    assert embedded.start(used_folder) is server
    with connect(server.url) as conn:
        assert conn.execute("select value from kept").fetchall() == [{"value": 1}]
    server.stop()


def test_start_waits_for_the_children_of_a_killed_server(used_folder: Path) -> None:
    server = embedded.start(used_folder)
    with connect(server.url) as conn:
        child = psutil.Process(conn.info.backend_pid)
        child.suspend()
        kill_server(used_folder)
        waker = wake_soon(child)
        assert embedded.start(used_folder) is server
        assert waker.poll() == 0, "started beside a child that may still write"
    assert answers(server.url)
    server.stop()


def test_server_that_never_answers_is_named_and_not_replaced(
    used_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.start(used_folder).stop()
    with (used_folder / "data" / "PG_VERSION").open() as held, monkeypatch.context() as patch:
        fcntl.flock(held, fcntl.LOCK_SH)
        patch.setattr(cluster, "START_TIMEOUT", 0.2)
        with pytest.raises(
            DatabaseError, match=r"does not respond \(.*\.s\.PGSQL.*still running on"
        ):
            embedded.start(used_folder)
    embedded.start(used_folder).stop()


@pytest.mark.parametrize("fault", [OSError(errno.ENOLCK, "No locks available"), None])
def test_folder_without_file_locks_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError | None
) -> None:
    """Some network disks refuse locks, others grant the same one to everybody."""

    def flock(_file: Any, _operation: int) -> None:
        if fault:
            raise fault

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(DatabaseError, match=r"needs file locks.*local disk, or set DATABASE_URL"):
        embedded.start(folder)
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    "number",
    # Named, because every process of a parallel run must collect the same tests.
    [pytest.param(str(os.getpid()), id="another process"), "4194305", "-7", "garbage", ""],
)
def test_pid_file_of_a_killed_server_is_not_believed(used_folder: Path, number: str) -> None:
    server = embedded.start(used_folder)
    kill_server(used_folder)
    pid_file = used_folder / "data" / "postmaster.pid"
    pid_file.write_text(re.sub(r"^\d+", number, pid_file.read_text()) if number else "")
    embedded.start(used_folder)
    assert answers(server.url)
    server.stop()


def test_start_waits_for_a_server_that_is_still_starting(used_folder: Path) -> None:
    server = embedded.start(used_folder)
    process = postmaster(used_folder)
    process.suspend()
    waker = wake_soon(process)
    assert embedded.start(used_folder) is server
    assert waker.wait() == 0, "answered only after it was woken"
    server.stop()


@pytest.mark.parametrize("name", ["two words, one comma", "l" * 120])
def test_folder_moved_to_where_it_cannot_hold_a_socket(used_folder: Path, name: str) -> None:
    moved = used_folder.rename(used_folder.with_name(name))
    server = embedded.start(moved)
    sockets = socket_folder(server.url)
    assert sockets.stat().st_mode & 0o777 == 0o700, "whoever reaches the socket is superuser"
    assert answers(server.url)
    server.stop()
    assert not sockets.exists()
    moved.rename(used_folder)


def test_folders_around_the_data_are_not_opened_for_reading(used_folder: Path) -> None:
    used_folder.parent.chmod(0o700)
    embedded.start(used_folder).stop()
    assert used_folder.parent.stat().st_mode & 0o066 == 0


def test_setup_killed_half_way_is_started_over(folder: Path) -> None:
    folder = folder / "two words"
    unfinished = folder / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = embedded.start(folder)
    assert answers(server.url)
    server.stop()


@pytest.mark.parametrize(
    ("version", "advice"),
    [
        ("16\n", r"PostgreSQL 16.*Move the folder away.*DATABASE_URL"),
        ("", r"damaged.*PG_VERSION.*Restore"),
        ("\x00\x00", r"damaged.*PG_VERSION.*Restore"),
    ],
)
def test_data_that_cannot_be_ours_is_refused_with_advice(
    folder: Path, version: str, advice: str
) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text(version)
    with pytest.raises(DatabaseError, match=advice):
        embedded.start(folder)
    assert (folder / "data" / "PG_VERSION").read_text() == version


def test_data_without_a_version_is_not_overwritten(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "precious").write_text("")
    with pytest.raises(DatabaseError, match="in the way, move it"):
        embedded.start(folder)
    assert (folder / "data" / "precious").exists()


def test_broken_configuration_is_refused_with_postgres_reason(used_folder: Path) -> None:
    configuration = used_folder / "data" / "postgresql.auto.conf"
    configuration.write_text("max_connections = none\n")
    with pytest.raises(DatabaseError, match=r"did not start \(FATAL: .*its log is"):
        embedded.start(used_folder)
    configuration.write_text("")
    embedded.start(used_folder).stop()


@pytest.mark.parametrize("file", [".", "data", "parent"])
def test_file_in_the_place_of_a_folder_is_refused_with_advice(folder: Path, file: str) -> None:
    if file == "data":
        folder.mkdir()
    (folder / file if file == "data" else folder).write_text("")
    with pytest.raises(DatabaseError, match=r"move it.*set DATABASE_URL"):
        embedded.start(folder / "sub" if file == "parent" else folder)


def test_description_names_the_version() -> None:
    assert embedded.EmbeddedPostgres.description == f"embedded PostgreSQL {cluster.VERSION}"
