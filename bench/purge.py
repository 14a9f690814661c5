"""What a purge of a million finished jobs costs the claims of a worker.

    python -m bench.purge --data FOLDER [--jobs 1000000] [--seconds 20]

Loads a little more than a million finished jobs into the folder (bench/history.py), or finds them
there, and purges a copy, so that the load serves again. One connection claims and completes jobs
one by one without a pause, and what is finished is folded every five seconds as workers do. Phases
without and with the purge alternate until a million jobs are gone, so that what changes slowly
touches both alike. Prints both rates and their ratio; fails below 0.8. Valid on a quiet machine
only.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

from bench import claims
from bench.history import history, loaded_database, step
from bench.server import QUERIES
from lib.database import Connection, connect, load
from lib.ops.maintenance.purge import Purge

JOBS = 1_000_000
SPARE = 0.05
"""Of ninety days of history one stays, so more is loaded than is purged."""
OLDER_THAN = timedelta(days=1)
PHASE_SECONDS = 20.0
SHORTEST_SECONDS = 3.0
WAITING = 60_000
"""Jobs to claim at the beginning of a phase, more than it takes."""
FOLD_SECONDS = 5.0
LEAST_RATIO = 0.8
queries = load("purge", QUERIES)
server = load("server", QUERIES)


@dataclass
class Measured:
    """Claimed and completed jobs, and the seconds that they took."""

    jobs: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds

    def add(self, other: "Measured") -> None:
        self.jobs += other.jobs
        self.seconds += other.seconds


def copy_of(url: str) -> str:
    """The URL of a fresh copy of the loaded database, on the same server."""
    with connect(urlsplit(url)._replace(path="/template1").geturl()) as connection:
        queries.drop_copy(connection)
        queries.create_copy(connection)
    return urlsplit(url)._replace(path="/purge").geturl()


@contextmanager
def folding(url: str) -> Iterator[None]:
    """Folds what has finished, as often as a worker does."""
    done = Event()

    def fold() -> None:
        with connect(url) as connection:
            while not done.wait(FOLD_SECONDS):
                history.refresh(connection)

    thread = Thread(target=fold)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def work(connection: Connection, seconds: float, purge: Purge | None) -> Measured:
    """Claims and completes one job after another, until the time or the purge is over."""
    jobs, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds and not (purge and purge.ended):
        rows = claims.claim_by_function(connection, 1)
        if not rows:
            raise RuntimeError("No job is left to claim: raise WAITING")
        claims.complete_by_function(connection, rows)
        jobs += 1
    return Measured(jobs, passed)


def phase(
    url: str, connection: Connection, seconds: float, *, purging: bool
) -> tuple[Measured, int]:
    """One phase: what was worked, and how many jobs were purged meanwhile."""
    queries.fill_up(connection, jobs=WAITING)
    server.checkpoint(connection)
    if not purging:
        return work(connection, seconds, None), 0
    purge = Purge(url, "bench", OLDER_THAN, lambda: None)
    worked = work(connection, seconds, purge)
    load("operator_actions").stop_purge(connection, actor="bench")
    purge.wait()
    return worked, purge.jobs


def measure(url: str, jobs: int, seconds: float) -> tuple[Measured, Measured]:
    """Alternates until so many jobs are purged; what was worked without and with the purge."""
    quiet, beside, purged = Measured(), Measured(), 0
    with connect(url) as connection, folding(url):
        queries.remove_live(connection)
        server.vacuum_analyze(connection)
        there = queries.purgeable(connection)
        if there < jobs:
            raise SystemExit(f"Only {there:,} jobs ended a day ago or before: load more.")
        print(f"{'':10} {'jobs/s':>10} {'purged':>12} {'in all':>12}", flush=True)
        while purged < jobs:
            for purging, total in ((False, quiet), (True, beside)):
                worked, gone = phase(url, connection, seconds, purging=purging)
                purged += gone
                if worked.seconds >= min(SHORTEST_SECONDS, seconds):
                    total.add(worked)
                name = "purging" if purging else "quiet"
                print(f"{name:10} {worked.rate:10,.0f} {gone:12,} {purged:12,}", flush=True)
    return quiet, beside


def main() -> None:
    parser = argparse.ArgumentParser(description="Claims a second while finished jobs are purged.")
    parser.add_argument("--data", type=Path, required=True, help="folder to keep the load in")
    parser.add_argument(
        "--jobs", type=int, default=JOBS, help="jobs to purge (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=PHASE_SECONDS, help="of each phase")
    options = parser.parse_args()
    url = loaded_database(options.data.resolve(), int(options.jobs * (1 + SPARE)))
    with step("A copy to purge"):
        copy = copy_of(url)
    quiet, beside = measure(copy, options.jobs, options.seconds)
    with connect(urlsplit(url)._replace(path="/template1").geturl()) as connection:
        queries.drop_copy(connection)
    if not (quiet.seconds and beside.seconds):
        sys.exit("No phase lasted long enough to measure: purge more jobs or give fewer --seconds.")
    ratio = beside.rate / quiet.rate
    print(
        f"Claimed and completed a second: {quiet.rate:,.0f} without a purge, {beside.rate:,.0f}"
        f" while jobs are purged: {ratio:.2f} of it."
    )
    sys.exit(ratio < LEAST_RATIO)


if __name__ == "__main__":
    main()
