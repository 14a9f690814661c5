"""Jobs per second by worker processes, what a generation costs, and claims in a full table.

    python -m bench.scaling [--jobs 60000] [--processes 1,2,4,8] [--data FOLDER ...]

Jobs that do nothing, so that what is measured is the queue. The processes share one embedded
server of its own with PostgreSQL's default durability, and the machine with it. Each FOLDER holds
a history of bench.history; in it one connection claims and completes a few thousand jobs, which
are taken out again. Others at work on the machine make every figure smaller.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import uvloop

from bench import claims
from bench.claims import FUNCTIONS, fill, server
from bench.cost import statistics
from bench.history import loaded_database
from bench.server import QUERIES, temporary_server
from bench.workers import CONCURRENCY, open_worker
from lib.database import connect, load
from lib.database.pool import Connection
from lib.queue.worker_calls import Claim
from lib.service import backend
from lib.settings import Settings, parse

BATCH = 50
POLL_SECONDS = 0.05
IN_HISTORY = 10_000
LOOK_SECONDS = 0.1
MODEL = "black-forest-labs/flux-schnell"
scaling = load("scaling", QUERIES)


async def work(url: str) -> None:
    """Works on jobs that do nothing until it is told to stop."""

    async def nothing(_claim: Claim) -> dict[str, object]:
        return {}

    async with open_worker(url, nothing, concurrency=CONCURRENCY, batch=BATCH) as worker:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run(url, poll_seconds=POLL_SECONDS, stop_grace_seconds=60)


@contextmanager
def workers(url: str, processes: int) -> Iterator[None]:
    """So many worker processes, all ready."""
    command = [sys.executable, "-m", "bench.scaling", "--worker", url]
    started = [subprocess.Popen(command) for _ in range(processes)]
    try:
        with connect(url) as connection:
            while scaling.workers(connection) < processes:
                time.sleep(LOOK_SECONDS)
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def measure_processes(processes: int, jobs: int) -> None:
    """Prints how fast so many processes drain a queue, and the connections that they hold."""
    with temporary_server() as url, workers(url, processes), connect(url) as connection:
        fill.add_pending(connection, jobs=jobs)
        began = time.time()
        while scaling.unfinished(connection):
            time.sleep(LOOK_SECONDS)
        completed = fill.completed(connection)
        connections = scaling.connections(connection)
    if completed["jobs"] != jobs:
        raise RuntimeError(f"{completed['jobs']} of {jobs} jobs were completed")
    rate = jobs / (completed["last_at"] - began)
    print(f"{processes:9} {rate:12,.0f} {connections:13}", flush=True)


def measure_generations(generations: int) -> None:
    """Prints what one generation costs the database, from its request to its stored image.

    As many as Replicate lets an account start in the time: the simulated one has the same limit.
    """
    with tempfile.TemporaryDirectory() as folder, temporary_server() as url:
        settings = parse(
            {
                "DATABASE_URL": url,
                "DARKROOM_DATA": folder,
                "DARKROOM_SIMULATOR_SPEED": "1",
                "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
                "DARKROOM_CONCURRENCY": "200",
            }
        )
        with connect(url) as connection:
            before = spent(connection)
            uvloop.run(generate(settings, url, generations))
            after = spent(connection)
    each = [(end - start) / generations for start, end in zip(before, after, strict=True)]
    print(
        f"{generations:11,} {each[0]:13.1f} {each[1] * 1e3:13.2f} {each[2] / 1e3:8.1f}", flush=True
    )


def spent(connection: Connection) -> tuple[int, float, int]:
    """What a server has spent so far: transactions, seconds of processor, bytes of WAL."""
    server_process = psutil.Process(connection.info.backend_pid).parent()
    assert server_process
    own = server_process.cpu_times()
    living = [each.cpu_times() for each in server_process.children()]
    # The server's own time counts its processes that have ended.
    processor = own.children_user + own.children_system
    processor += sum(times.user + times.system for times in (own, *living))
    return statistics.commits(connection), processor, scaling.wal(connection)


async def generate(settings: Settings, url: str, generations: int) -> None:
    """Starts so many generations at once and works until all are completed."""
    async with backend(settings, url) as service:
        for number in range(generations):
            await service.queue.start_generation(
                user_id=None,
                prompt=f"A lighthouse, number {number}",
                model_id=MODEL,
                parameters={},
                source="test",
                idempotency_key=None,
            )
        worker = service.worker("worker")
        working = asyncio.create_task(worker.run(url, poll_seconds=1, stop_grace_seconds=5))
        while worker.processed < generations:
            await asyncio.wait([working], timeout=LOOK_SECONDS)
        worker.stop()
        await working


def measure_history(folder: Path) -> None:
    """Prints how fast one connection claims and completes beside the folder's history."""
    url = loaded_database(folder.resolve(), 0)
    with connect(url) as connection:
        held = scaling.jobs(connection)
        fill.add_pending(connection, jobs=IN_HISTORY)
        server.vacuum_analyze(connection)
        server.checkpoint(connection)
        spent = claims.work(connection, FUNCTIONS, batch=BATCH, jobs=IN_HISTORY)
        scaling.take_out(connection)
    claim, complete = (spent.jobs / seconds for seconds in (spent.claiming, spent.completing))
    print(f"{held:14,} {claim:12,.0f} {complete:12,.0f}", flush=True)


def main() -> None:
    """Prints the tables, or is one of the worker processes."""
    parser = argparse.ArgumentParser(description="Measure how the queue scales.")
    parser.add_argument("--jobs", type=int, default=60_000)
    parser.add_argument("--processes", default="1,2,4,8")
    parser.add_argument("--generations", type=int, default=300)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of histories")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        uvloop.run(work(options.worker))
        return
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, batches of {BATCH}")
    print(f"\n{'processes':>9} {'jobs/s':>12} {'connections':>13}")
    for processes in map(int, options.processes.split(",")):
        measure_processes(processes, options.jobs)
    print(f"\n{'':>11} {'of the database, for each:':>36}")
    print(f"{'generations':>11} {'transactions':>13} {'processor ms':>13} {'WAL kB':>8}")
    measure_generations(options.generations)
    if options.data:
        print(f"\n{'jobs in table':>14} {'claimed/s':>12} {'completed/s':>12}")
    for folder in options.data:
        measure_history(folder)


if __name__ == "__main__":
    main()
