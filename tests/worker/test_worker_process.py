"""`python -m lib.worker` as a process of its own."""

import signal
import socket
import subprocess
import sys

import pytest
from environment import bare

from lib.database import connect


@pytest.fixture
def worker(database, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "lib.worker"],
        env=bare(
            DATABASE_URL=database,
            DARKROOM_DATA=str(tmp_path),
            DARKROOM_SIMULATOR_FAILURE_RATE="0",
            DARKROOM_STOP_GRACE_SECONDS="0",
        ),
        stderr=(tmp_path / "log").open("wb"),
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_gracefully_and_gives_its_job_back(worker, db, eventually, number):
    db.execute("""select public.enqueue_job('generate-image', '{"prompt": "Never ends [hang]"}')""")
    status = "select status from public.job_queue"
    eventually(lambda: db.execute(status).fetchone()["status"] == "processing")
    worker.send_signal(number)
    assert worker.wait(20) == 0
    assert db.execute(status).fetchone()["status"] == "pending"
    assert db.execute("select stopped_at from public.workers").fetchone()["stopped_at"]


def test_waits_for_a_database_that_is_away(tmp_path, postgres, template, eventually):
    with connect(postgres.url) as admin:
        admin.execute(f"create database late template {template}")
        admin.execute("alter database late allow_connections false")
    log = tmp_path / "log"
    process = subprocess.Popen(
        [sys.executable, "-m", "lib.worker"],
        env=bare(
            DATABASE_URL=postgres.url.replace("/postgres?", "/late?"), DARKROOM_DATA=str(tmp_path)
        ),
        stderr=log.open("wb"),
    )
    eventually(lambda: "Waiting for the database" in log.read_text())
    with connect(postgres.url) as admin:
        admin.execute("alter database late allow_connections true")
        with connect(postgres.url.replace("/postgres?", "/late?")) as late:
            seen = "select from public.workers where stopped_at is null"
            eventually(lambda: late.execute(seen).fetchone() is not None)
        process.terminate()
        assert process.wait(20) == 0
        admin.execute("drop database late with (force)")


def test_is_stopped_by_a_signal_while_it_imports(database, tmp_path):
    """As process 1 of a container it would otherwise ignore the signal."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "lib.worker"],
        env=bare(DATABASE_URL=database, DARKROOM_DATA=str(tmp_path)),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        imported = next(line for line in process.stderr if "asyncio" in line)
        process.terminate()
        imported += process.stderr.read()
    assert process.returncode == 0
    assert "lib.service" not in imported


def test_is_stopped_by_a_signal_while_it_waits_for_the_database(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "lib.worker"],
            env=bare(
                DATABASE_URL=f"postgresql://127.0.0.1:{server.getsockname()[1]}/silent",
                DARKROOM_DATA=str(tmp_path),
            ),
        )
        connection, _ = server.accept()
        process.terminate()
        connection.close()
        assert process.wait(20) == 0
