"""Claim and complete from one connection, without a worker: what the SQL itself can do."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from bench.server import QUERIES
from lib.database import load
from lib.database.pool import Connection

Rows = Sequence[Mapping[str, Any]]
WORKER = uuid4()
fill = load("jobs", QUERIES)
plain = load("plain", QUERIES)
queue = load("queue")
server = load("server", QUERIES)


def claim_by_function(connection: Connection, batch: int) -> Rows:
    return queue.claim_jobs(connection, limit=batch, job_types=["bench"], worker_id=WORKER)


def complete_by_function(connection: Connection, rows: Rows) -> None:
    lost = queue.complete_jobs(
        connection,
        job_ids=[row["id"] for row in rows],
        attempts=[row["attempts"] for row in rows],
        results=[None] * len(rows),
    )
    if lost:
        raise RuntimeError(f"{len(lost)} of {len(rows)} claims were lost")


def claim_plainly(connection: Connection, batch: int) -> Rows:
    return plain.claim(connection, limit=batch)


def complete_plainly(connection: Connection, rows: Rows) -> None:
    plain.complete(connection, job_ids=[row["id"] for row in rows])


@dataclass(frozen=True)
class Way:
    """One way to claim a batch and to complete it, each its own transaction."""

    name: str
    claim: Callable[[Connection, int], Rows]
    complete: Callable[[Connection, Rows], None]


FUNCTIONS = Way("our SQL functions", claim_by_function, complete_by_function)
PLAIN = Way("plain SQL", claim_plainly, complete_plainly)


@dataclass(frozen=True)
class Spent:
    """What was done, and the seconds it took."""

    jobs: int
    claiming: float
    completing: float


def prepare(connection: Connection, *, pending: int, completed: int = 0) -> None:
    """Leave so many jobs in the queue, vacuumed, analyzed and on disk."""
    fill.empty(connection)
    fill.add_pending(connection, jobs=pending)
    fill.add_completed(connection, jobs=completed)
    server.vacuum_analyze(connection)
    server.checkpoint(connection)


def work(connection: Connection, way: Way, *, batch: int, jobs: int) -> Spent:
    """Claim and complete until `jobs` are done. Raises RuntimeError if they run out before."""
    done = 0
    claiming = completing = 0.0
    while done < jobs:
        start = time.perf_counter()
        rows = way.claim(connection, batch)
        claimed = time.perf_counter()
        way.complete(connection, rows)
        completing += time.perf_counter() - claimed
        claiming += claimed - start
        if not rows:
            raise RuntimeError(f"{way.name}: {done} of {jobs} jobs, and none is left")
        done += len(rows)
    return Spent(done, claiming, completing)


def claim_one_by_one(connection: Connection, *, rounds: int, jobs: int) -> list[float]:
    """Milliseconds of each claim of one job while `jobs` are added a round, shortest first."""
    waits = []
    for _ in range(rounds):
        fill.add_pending(connection, jobs=jobs)
        for _ in range(jobs):
            start = time.perf_counter()
            rows = claim_by_function(connection, 1)
            waits.append(1000 * (time.perf_counter() - start))
            complete_by_function(connection, rows)
    return sorted(waits)
