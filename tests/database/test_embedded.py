"""The embedded server under what happens on real machines: kills, races, odd folders."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

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
def folder() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="darkroom-test-"))
    yield parent / "embedded"
    shutil.rmtree(parent)


@pytest.fixture
def started(folder: Path) -> Iterator[Callable[[], App]]:
    apps: list[App] = []

    def start(**environment: str) -> App:
        apps.append(App(folder, os.environ | environment))
        return apps[-1]

    yield start
    for app in apps:
        app.kill()
    embedded.start(folder).stop()


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


def test_two_first_starts_share_a_server_until_the_last_exits(started: Callable[[], App]) -> None:
    one, two = started(), started()
    url = one.url()
    assert two.url() == url
    one.exit()
    assert answers(url)
    two.exit()
    assert not answers(url)


def test_killed_app_does_not_keep_the_server_running(started: Callable[[], App]) -> None:
    killed = started()
    url = killed.url()
    killed.kill()
    assert answers(url), "nobody was left to stop it"
    following = started()
    assert following.url() == url
    following.exit()
    assert not answers(url)


def test_killed_server_recovers_at_the_next_start(folder: Path) -> None:
    server = embedded.start(folder)
    with connect(server.url) as conn:
        conn.execute("create table kept as select 1 as value")
    kill_server(folder)
    assert embedded.start(folder) is server
    with connect(server.url) as conn:
        assert conn.execute("select value from kept").fetchall() == [{"value": 1}]
    server.stop()


def test_number_of_a_killed_server_taken_by_another_process(folder: Path) -> None:
    server = embedded.start(folder)
    kill_server(folder)
    pid_file = folder / "data" / "postmaster.pid"
    pid_file.write_text(re.sub(r"^\d+", str(os.getpid()), pid_file.read_text()))
    embedded.start(folder)
    assert answers(server.url)
    server.stop()


def test_start_waits_for_a_server_that_is_still_starting(folder: Path) -> None:
    server = embedded.start(folder)
    process = postmaster(folder)
    process.suspend()
    waker = subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -{signal.SIGCONT} {process.pid}"])
    assert embedded.start(folder) is server
    assert waker.wait() == 0, "answered only after it was woken"
    server.stop()


def test_stop_can_be_repeated_and_start_can_follow(folder: Path) -> None:
    server = embedded.start(folder)
    server.stop()
    server.stop()
    assert not answers(server.url)
    assert embedded.start(folder) is server
    assert answers(server.url)
    server.stop()


@pytest.mark.parametrize("name", ["two words, one comma", "l" * 120])
def test_folder_that_cannot_hold_a_socket(folder: Path, name: str) -> None:
    server = embedded.start(folder / name)
    sockets = Path(psycopg.conninfo.conninfo_to_dict(server.url)["host"])
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert answers(server.url)
    server.stop()
    assert not sockets.exists()


def test_setup_killed_half_way_is_started_over(folder: Path) -> None:
    unfinished = folder / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = embedded.start(folder)
    assert answers(server.url)
    server.stop()


def test_data_of_another_version_is_refused_with_advice(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseError, match=r"PostgreSQL 16.*upgrade_db"):
        embedded.start(folder)


def test_broken_configuration_is_refused_with_postgres_reason(folder: Path) -> None:
    embedded.start(folder).stop()
    configuration = folder / "data" / "postgresql.auto.conf"
    configuration.write_text("max_connections = none\n")
    with pytest.raises(DatabaseError, match=r"did not start \(.*its log is"):
        embedded.start(folder)
    configuration.write_text("")


def test_folder_that_is_a_file_is_refused_with_advice(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(DatabaseError, match="set DATABASE_URL"):
        embedded.start(folder)


def test_description_names_the_version(folder: Path) -> None:
    assert embedded.EmbeddedPostgres.description == f"embedded PostgreSQL {cluster.VERSION}"
