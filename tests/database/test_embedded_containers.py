"""One embedded server for containers that share its folder but see no process of each other."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containers import contained, first_process, kill

from lib.database import connect, embedded

ROOT = Path(__file__).parents[2]
APP = """
import os
import signal
import sys
from pathlib import Path
from lib.database import connect, embedded
folder = Path(sys.argv[1])
for command in map(str.strip, sys.stdin):
    if command in ("start", "start and be killed"):
        if command == "start" or not os.fork():
            with connect(embedded.start(folder).url) as conn:
                row = conn.execute("select pg_postmaster_start_time()::text as began").fetchone()
            print(row["began"], flush=True)
            if command != "start":
                os.kill(os.getpid(), signal.SIGKILL)
        else:
            os.wait()
    elif command == "stop":
        embedded.start(folder).stop()
        print("stopped", flush=True)
    else:
        with connect(embedded.start(folder).url) as conn:
            conn.execute("create table if not exists acknowledged (who text)")
            for _ in range(100):
                conn.execute("insert into acknowledged values (%s)", [command])
            row = conn.execute("select count(*) from acknowledged").fetchone()
        print(row["count"], flush=True)
"""

pytestmark = pytest.mark.slow


class Container:
    """An app as process 1 of namespaces of its own; `ask` runs a command in it."""

    def __init__(self, folder: Path) -> None:
        self.process = contained(
            [sys.executable, "-c", APP, str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        """As when the app ends by itself: whatever else runs in the container is killed."""
        self.process.communicate(timeout=30)


@pytest.fixture
def container(used_folder: Path) -> Iterator[Callable[[], Container]]:
    """Start containers that share the folder."""
    made: list[Container] = []
    # Unlike in real containers, shared memory in /dev/shm would outlive them.
    configuration = used_folder / "data" / "postgresql.auto.conf"
    configuration.write_text("dynamic_shared_memory_type = mmap\n")

    def start() -> Container:
        made.append(Container(used_folder))
        return made[-1]

    yield start
    for container in made:
        kill(container.process)
    with connect(embedded.start(used_folder).url) as conn:
        conn.execute("drop table if exists acknowledged")
    configuration.write_text("")


def rows(folder: Path) -> int:
    with connect(embedded.start(folder).url) as conn:
        return int(conn.execute("select count(*) from acknowledged").fetchone()["count"])  # type: ignore[index]


def test_containers_share_one_server(container: Callable[[], Container], used_folder: Path) -> None:
    one, two = container(), container()
    assert one.ask("start") == two.ask("start"), "each has a server of its own"
    assert [one.ask("one"), two.ask("two"), one.ask("one")] == ["100", "200", "300"]
    one.end()
    two.end()
    assert rows(used_folder) == 300


@pytest.mark.parametrize("how", ["end", "kill"])
def test_server_that_went_with_its_container_is_started_again(
    container: Callable[[], Container], used_folder: Path, how: str
) -> None:
    first, second, third = container(), container(), container()
    began = first.ask("start")
    assert {second.ask("start"), third.ask("start")} == {began}
    assert first.ask("first") == "100"
    first.end() if how == "end" else kill(first.process)
    again = second.ask("start")
    assert again != began
    assert third.ask("start") == again
    assert third.ask("third") == "200"
    kill(second.process)
    assert third.ask("start") != again
    assert third.ask("third") == "300"
    third.end()
    assert rows(used_folder) == 300


def test_last_user_stops_the_server_of_another_container(
    container: Callable[[], Container], used_folder: Path
) -> None:
    starter, user = container(), container()
    began = starter.ask("start")
    assert user.ask("start") == began
    assert starter.ask("stop") == "stopped"
    assert user.ask("user") == "100", "stopped though it was in use"
    assert user.ask("stop") == "stopped"
    assert user.ask("start") != began, "was not stopped by its last user"
    assert starter.ask("start") == user.ask("start")


def test_server_whose_user_was_killed_is_found_by_another_container(
    container: Callable[[], Container],
) -> None:
    one, two = container(), container()
    began = one.ask("start and be killed")
    assert two.ask("start") == began
    assert one.ask("start") == began


def test_server_of_another_container_that_is_silent_is_waited_for(
    container: Callable[[], Container],
) -> None:
    one, two = container(), container()
    began = one.ask("start")
    [server] = first_process(one.process).children()
    server.suspend()
    waker = subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -CONT {server.pid}"])
    assert two.ask("start") == began
    assert waker.wait() == 0, "answered only after it was woken"
