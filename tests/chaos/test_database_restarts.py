"""The database server stopped and started while workers are busy."""

import signal

import journal
import pytest

from lib.database import connect

pytestmark = pytest.mark.slow

JOBS = 300
BETWEEN_STOPS = 40
"""Jobs that end between two stops, so that the workers are busy at each."""


@pytest.fixture
def two(crew, server):
    """Two workers; they take a job from a silent one after more than a restart lasts."""
    return [crew.start(server.url, DARKROOM_RESCUE_SECONDS="10") for _ in range(2)]


def count(server, *statuses):
    with connect(server.url) as connection:
        return journal.count(connection, *statuses)


def restart_under_load(server, eventually, how):
    """Stops and starts the server when more jobs have ended and others run."""
    before = count(server, "completed")
    eventually(
        lambda: count(server, "completed") >= before + BETWEEN_STOPS and count(server, "processing")
    )
    server.stop(how)
    server.start()


def test_every_job_completes_once_whatever_the_restarts(two, crew, server, eventually):
    with connect(server.url) as connection:
        journal.keep(connection)
        journal.enqueue(connection, JOBS)
    for how in (signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT, signal.SIGQUIT):
        restart_under_load(server, eventually, how)
    assert count(server, "pending"), "the load was over too early"
    # Long enough to look for predictions of which a restart cut off the answer.
    eventually(lambda: count(server, "completed", "failed") == JOBS, 120)
    with connect(server.url) as connection:
        stories = journal.stories(connection)
        registered = connection.execute("select pid from public.workers").fetchall()
        assert connection.execute("select from public.job_leases").fetchall() == []
    assert len(stories) == JOBS
    made = crew.predictions()
    for story in stories:
        journal.assert_ended_once(story)
        assert story.status == "completed", story
        # What the restarts interrupt costs no try, and what is paid for is stored in the end.
        assert len(story.lost) == len(story.failures), story
        assert made[story.prompt] <= 1 + len(story.lost), story
    for worker in two:
        assert worker.alive, worker.log
    assert {row["pid"] for row in registered} == {worker.pid for worker in two}
    images = [
        str(path.relative_to(crew.images))
        for path in crew.images.rglob("*")
        if path.is_file() and ".thumbnail." not in path.name
    ]
    assert sorted(images) == sorted(story.storage_path for story in stories)
