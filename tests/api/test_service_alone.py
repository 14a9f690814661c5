"""The functions and a worker as a process of their own, as a container or systemd starts it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lib.database.pool import Connection
from lib.resources import project_keys
from lib.settings import parse

PROJECT = Path(__file__).parents[2]


@pytest.fixture(params=["127.0.0.1", "::1"])
def service(
    request: pytest.FixtureRequest,
    database: str,
    tmp_path: Path,
    eventually: Callable[..., Any],
) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    host = request.param
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        try:
            free.bind((host, 0))
        except OSError:
            pytest.skip("This machine has no IPv6 loopback.")
        port = free.getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    log = tmp_path / "log"
    settings = {
        "DATABASE_URL": database,
        "DARKROOM_DATA": str(tmp_path),
        "DARKROOM_SIMULATOR_SPEED": "100",
        "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
        "DARKROOM_ANONYMOUS_STARTS": "1",
        # Not for the simulator, which is on this machine.
        "ALL_PROXY": "socks5://127.0.0.1:1",
        "NO_PROXY": "[::1],fe80::/10",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "lib.asgi:app", "--host", host, "--port", str(port)],
        cwd=PROJECT,
        env=os.environ | settings,
        stderr=log.open("w"),
        text=True,
    )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/healthz").status_code in (200, 503)
        except httpx.TransportError:
            return False

    eventually(answers, 40)
    yield url, process, tmp_path
    process.kill()
    process.wait()


def test_a_generation_is_made_without_the_control_room(
    service: tuple[str, subprocess.Popen[str], Path],
    database: str,
    db: Connection,
    eventually: Callable[..., Any],
) -> None:
    url, process, folder = service
    keys = project_keys(parse({"DATABASE_URL": database, "DARKROOM_DATA": str(folder)}))
    body = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}
    answer = httpx.post(
        f"{url}/functions/v1/start-generation", json=body, headers={"apikey": keys.publishable}
    )
    assert answer.json()["status"] == "queued"

    def image() -> str | None:
        row = db.execute("select image_url from image_generations").fetchone()
        return str(row["image_url"]) if row and row["image_url"] else None

    address = eventually(image, 30)
    assert address.startswith("/images/")
    assert httpx.get(f"{url}{address}").headers["content-type"].startswith("image/")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)
    gone = "select count(*) as workers from workers where kind = 'worker' and stopped_at is null"
    assert db.execute(gone).fetchone() == {"workers": 0}


@pytest.fixture
def refused_workers(db: Connection) -> None:
    """A database that lets no worker register."""
    db.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'No.'; end $$;"
        "create trigger refuse before insert on workers execute function refuse()"
    )


@pytest.mark.parametrize("service", ["127.0.0.1"], indirect=True)
def test_a_worker_that_ends_is_started_again(
    refused_workers: None,
    service: tuple[str, subprocess.Popen[str], Path],
    db: Connection,
    eventually: Callable[..., Any],
) -> None:
    url, process, _ = service
    ended = {"status": "the worker stopped and is restarting"}
    eventually(lambda: httpx.get(f"{url}/healthz").json() == ended)
    recorded = "select task, error from background_errors"
    assert eventually(lambda: db.execute(recorded).fetchone()) == {
        "task": "worker",
        "error": "StatementFailed: PostgreSQL rejected the statement: No. (P0001)",
    }
    db.execute("drop trigger refuse on workers")
    eventually(lambda: db.execute("select from workers").fetchall())
    assert httpx.get(f"{url}/healthz").json() != ended
    assert process.poll() is None
