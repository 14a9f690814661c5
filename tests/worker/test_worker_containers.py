"""Workers in containers that share a data folder, and so its embedded database."""

import shutil
import sys

import pytest
from containers import contained, kill
from environment import bare, data_folder

from lib.database import DatabaseUnavailable, connect, translated


@pytest.fixture
def folder():
    folder = data_folder("containers")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def rows(folder):
    """The rows of a query at whichever server runs; None if none does."""

    def rows(query):
        try:
            url = f"postgresql://postgres@/postgres?host={folder}/postgres/data"
            with connect(url) as connection, translated():
                return connection.execute(query).fetchall()
        except DatabaseUnavailable:
            return None

    return rows


@pytest.fixture
def start(folder):
    """Start workers in containers of their own."""
    started = []

    def start():
        environment = bare(
            DARKROOM_DATA=str(folder), DARKROOM_SAMPLE_DATA="0", DARKROOM_STOP_GRACE_SECONDS="0"
        )
        command = [sys.executable, "-m", "lib.worker"]
        started.append(contained(command, env=environment))
        return started[-1]

    yield start
    for worker in started:
        kill(worker)


@pytest.mark.slow
def test_jobs_and_server_of_a_killed_container_are_taken_over(start, rows, eventually):
    first = start()
    eventually(lambda: rows("select from public.workers"), 60)
    rows("""select public.enqueue_job('generate-image', '{"prompt": "Never ends [hang]"}')""")
    [held] = eventually(lambda: rows("select worker_id from public.job_leases"))
    start()
    eventually(lambda: len(rows("select from public.workers")) == 2, 60)
    kill(first)
    # The server went with its container; the worker who had the job is known to be dead.
    taken = "select l.worker_id, l.attempt from public.job_leases l where l.attempt = 2"
    [lease] = eventually(lambda: rows(taken), 30)
    assert lease["worker_id"] != held["worker_id"]
