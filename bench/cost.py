"""What does a query cost? Its time as a client sees it, and the rows that the server read."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.recording import Call
from bench.server import QUERIES
from lib.database import load
from lib.database.pool import Connection

LARGE = ("job_queue", "image_generations")
RUNS = 5
# Before that a connection plans each run of a statement anew; later it may keep a general plan.
RUNS_UNTIL_PREPARED = 12
PATIENCE = 20.0
"""Seconds after which a slow query is not run again."""
statistics = load("pages", QUERIES)


@dataclass(frozen=True)
class Cost:
    """Of one run of a query, warm. Linux only."""

    milliseconds: float
    """As the client sees it."""
    processor: float
    """Milliseconds that the server's process ran for it, parallel workers left out: about the same
    on a busy machine as on a calm one."""
    rows: int
    whole_scans: tuple[str, ...]
    """Large tables that were read from end to end, in SQL functions too."""


def cost(connection: Connection, call: Call, *, prepared: bool = True) -> Cost:
    """Runs a query often enough to know its usual time.

    On a connection that has just met it and, if `prepared`, on one that has known it for long;
    the slower counts.
    """

    def run() -> Any:
        return call.of(connection)

    rows, whole_scans = reads(connection, run)
    slowest = usual_time(connection, run)
    if prepared:
        for _ in range(RUNS_UNTIL_PREPARED - RUNS):
            run()
        slowest = max(slowest, usual_time(connection, run), key=lambda times: times[1])
    return Cost(*slowest, rows, whole_scans)


def all_of(each: Collection[Cost]) -> Cost:
    """What several queries cost together."""
    return Cost(
        sum(c.milliseconds for c in each),
        sum(c.processor for c in each),
        sum(c.rows for c in each),
        tuple({table for c in each for table in c.whole_scans}),
    )


def usual_time(connection: Connection, run: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds of time and of processor: medians of five runs, or of fewer slow ones."""
    process = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    times: list[float] = []
    processor: list[int] = []
    while len(times) < RUNS and sum(times) < PATIENCE:
        began, ran = time.perf_counter(), int(process.read_text().split()[0])
        run()
        times.append(time.perf_counter() - began)
        processor.append(int(process.read_text().split()[0]) - ran)
    return median(times) * 1e3, median(processor) / 1e6


def reads(connection: Connection, run: Callable[[], Any]) -> tuple[int, tuple[str, ...]]:
    """Rows that one run reads, and the large tables of which it reads all.

    What parallel workers read is not counted here, so a run without them gives the rows.
    """
    whole = [name for name, row in read_by(connection, run).items() if row["whole_scans"]]
    with connection.transaction():
        statistics.without_parallel_workers(connection)
        rows = sum(row["rows"] for row in read_by(connection, run).values())
    return rows, tuple(name for name in LARGE if name in whole)


def read_by(connection: Connection, run: Callable[[], Any]) -> dict[str, dict[str, int]]:
    """By table, whole_scans and rows of one run."""
    with connection.transaction():
        before = {row.pop("relation"): row for row in statistics.reads_so_far(connection)}
        run()
        after = {row.pop("relation"): row for row in statistics.reads_so_far(connection)}
    return {
        table: {count: row[count] - before[table][count] for count in row}
        for table, row in after.items()
    }


def plan(connection: Connection, call: Call) -> str:
    """How the server runs the query; of what functions do inside, only the time."""
    statement = "explain (analyze, buffers) " + call.sql
    lines = connection.execute(statement, call.parameters).fetchall()
    return "\n".join(line["QUERY PLAN"] for line in lines)
