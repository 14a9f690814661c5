"""Whatever is killed or stopped, and however late the provider answers: nothing is paid twice.

The book of a provider that shares no code with ours says what was paid.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bookkeeper import Bookkeeper
from restartable import Server
from rig import Process

from lib.database import DatabaseError, connect, translated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# DARKROOM_STORM=full is the storm of the acceptance: 400 jobs, 40 kills, 20 stops, 4 crashes.
FULL = os.environ.get("DARKROOM_STORM") == "full"
JOBS, KILLS, STOPS, CRASHES = (400, 40, 20, 4) if FULL else (80, 8, 4, 1)
WORKERS = 4
STATUSES = "select status, count(*)::int as jobs from public.job_queue group by status"
START = "select public.start_generation(null, %s, 'black-forest-labs/flux-schnell', '{}', 'test')"
TROUBLE = ("[late 2]", "[never]", "[500]", "[unreadable]")


class Storm:
    """Workers on one database and provider, of which some are killed and some stopped."""

    def __init__(self, server: Server, book: Bookkeeper, folder: Path) -> None:
        self.server = server
        self._book = book
        self._folder = folder
        self._draw = random.Random(21)
        self._started = 0
        self.workers = [self._start() for _ in range(WORKERS)]
        self.stopped: list[tuple[float, Process]] = []

    def _start(self) -> Process:
        settings = {
            "DATABASE_URL": self.server.url,
            "REPLICATE_API_TOKEN": "token",
            "REPLICATE_API_URL": self._book.base_url,
            "DARKROOM_DATA": str(self._folder),
            "DARKROOM_CONCURRENCY": "10",
            "DARKROOM_CLAIM_BATCH": "10",
            "DARKROOM_HEARTBEAT_SECONDS": "0.5",
            "DARKROOM_RESCUE_SECONDS": "3",
            "DARKROOM_POLL_SECONDS": "0.2",
            "DARKROOM_STOP_GRACE_SECONDS": "0",
        }
        self._started += 1
        return Process(self._folder / f"worker-{self._started}.log", ["-m", "lib.worker"], settings)

    def kill(self) -> None:
        victim = self.workers.pop(self._draw.randrange(len(self.workers)))
        victim.kill()
        self.workers.append(self._start())

    def freeze(self) -> None:
        """Stop a worker for longer than its leases last; another takes its place meanwhile."""
        victim = self.workers.pop(self._draw.randrange(len(self.workers)))
        os.kill(victim.pid, signal.SIGSTOP)
        self.stopped.append((time.monotonic() + self._draw.uniform(2, 9), victim))
        self.workers.append(self._start())

    def thaw(self, *, all_of_them: bool = False) -> None:
        for due, victim in list(self.stopped):
            if all_of_them or time.monotonic() > due:
                os.kill(victim.pid, signal.SIGCONT)
                self.stopped.remove((due, victim))
                # It goes on beside the others for a while.
                self.workers.append(victim)
                self.workers.pop(0).kill()

    def crash(self) -> None:
        self.server.stop(signal.SIGQUIT)
        self.server.start()

    def end(self) -> None:
        for worker in (*self.workers, *(victim for _, victim in self.stopped)):
            worker.kill()


@pytest.fixture
def storm_of(
    server: Server, make_bookkeeper: Callable[..., Bookkeeper], tmp_path: Path
) -> Iterator[Callable[..., tuple[Storm, Bookkeeper]]]:
    storms = []

    def make(**seconds: float) -> tuple[Storm, Bookkeeper]:
        book = make_bookkeeper(**seconds)
        storms.append(Storm(server, book, tmp_path))
        return storms[-1], book

    yield make
    for storm in storms:
        storm.end()


def statuses(server: Server) -> dict[str, int]:
    with translated(), connect(server.url) as connection:
        return {row["status"]: row["jobs"] for row in connection.execute(STATUSES)}


def ended(server: Server, jobs: int) -> bool:
    try:
        found = statuses(server)
    except DatabaseError:
        return False
    return found.get("completed", 0) + found.get("failed", 0) == jobs


def enqueue(server: Server, prompts: list[str]) -> None:
    with connect(server.url) as connection:
        connection.execute("update job_types set backoff_base_seconds = 1, backoff_max_seconds = 2")
        for prompt in prompts:
            connection.execute(START, [prompt])
        # Each lost worker costs its jobs an attempt, and some meet many.
        connection.execute("update job_queue set max_attempts = 50")


def assert_all_completed_and_paid_once(server: Server, book: Bookkeeper, jobs: int) -> None:
    with connect(server.url) as connection:
        assert statuses(server) == {"completed": jobs}
        unknown = "select count(*)::int as n from predictions where status = 'unknown'"
        assert connection.execute(unknown).fetchone() == {"n": 0}
        assert connection.execute("select from job_leases").fetchall() == []
        images = connection.execute("select distinct storage_path from image_generations")
        assert len(images.fetchall()) == jobs
    paid = book.paid()
    assert len(paid) == jobs
    twice = Counter({prompt: times for prompt, times in paid.items() if times > 1})
    assert twice == {}, "paid twice"


@pytest.mark.parametrize(
    ("latency", "trouble"),
    [(0, [""]), (0.5, [""]), (2, [""]), (0.2, TROUBLE)],
    ids=["at once", "0.5 s", "2 s", "unreadable"],
)
def test_a_storm_pays_for_nothing_twice(storm_of, server, eventually, latency, trouble):
    prompts = [f"Number {n} {trouble[n % len(trouble)]}" for n in range(JOBS)]
    enqueue(server, prompts)
    if trouble != [""]:
        with connect(server.url) as connection:
            # Five such answers in a row open the breaker, whose rests are not the point here.
            connection.execute("update job_types set provider = null")
    storm, book = storm_of(create_seconds=latency, run_seconds=0.5)
    acts = [storm.kill] * KILLS + [storm.freeze] * STOPS + [storm.crash] * CRASHES
    random.Random(latency).shuffle(acts)
    for act in acts:
        # Any moment will do: that is the point.
        time.sleep(random.uniform(0.3, 0.9))
        storm.thaw()
        act()
    storm.thaw(all_of_them=True)
    eventually(lambda: ended(server, JOBS), 600)
    assert_all_completed_and_paid_once(server, book, JOBS)


def test_two_with_the_same_input_adopt_different_predictions(storm_of, server, eventually):
    """Without a seed of ours they cannot be told apart."""
    with connect(server.url) as connection:
        connection.execute("update models set input_schema = input_schema - 'seed'")
        connection.execute("update job_types set provider = null")
    enqueue(server, ["The same [500]"] * 6)
    _, book = storm_of(create_seconds=0.2, run_seconds=0.5)
    eventually(lambda: ended(server, 6), 600)
    assert statuses(server) == {"completed": 6}
    assert sum(book.paid().values()) == 6


def test_a_worker_that_wakes_cancels_nothing_that_another_attempt_follows(
    server, make_bookkeeper, tmp_path, eventually
):
    book = make_bookkeeper(create_seconds=0, run_seconds=0.5)
    settings = {
        "DATABASE_URL": server.url,
        "REPLICATE_API_TOKEN": "token",
        "REPLICATE_API_URL": book.base_url,
        "DARKROOM_DATA": str(tmp_path),
    }
    # Its heartbeat would tell the first that the claim is lost before its deadline does.
    slow, quick = (
        {"DARKROOM_HEARTBEAT_SECONDS": "30", "DARKROOM_GENERATION_SECONDS": "12"},
        {"DARKROOM_HEARTBEAT_SECONDS": "0.3", "DARKROOM_RESCUE_SECONDS": "1.5"},
    )
    enqueue(server, ["Takes long [takes 15]"])
    first = Process(tmp_path / "first.log", ["-m", "lib.worker"], settings | slow)
    second = None
    try:
        eventually(lambda: book.paid())
        with connect(server.url) as connection:
            known = "select from predictions where provider_id is not null"
            eventually(lambda: connection.execute(known).fetchall())
            os.kill(first.pid, signal.SIGSTOP)
            stopped = time.monotonic()
            second = Process(tmp_path / "second.log", ["-m", "lib.worker"], settings | quick)
            job = "select status, attempts from job_queue"
            taken_over = {"status": "processing", "attempts": 2}
            eventually(lambda: connection.execute(job).fetchone() == taken_over)
            # Past the deadline of the first attempt, before the prediction ends, and before the
            # provider cancels it, five seconds after that deadline.
            eventually(lambda: time.monotonic() > stopped + 12.5)
            assert connection.execute(job).fetchone() == taken_over
            os.kill(first.pid, signal.SIGCONT)
            eventually(lambda: ended(server, 1), 60)
            assert statuses(server) == {"completed": 1}
    finally:
        first.kill()
        if second:
            second.kill()
    assert [entry.event for entry in book.entries()] == ["created"]
