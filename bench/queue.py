"""Jobs per second: our queue, plain SQL, other queues, and the limit of the server. Prints a table.

    python -m bench.queue [--jobs 20000] [--rows 1000000] [--only SECTIONS]

All on one embedded server of its own with PostgreSQL's default durability. The other queues are
left out unless they are installed (`pip install -r bench/requirements.txt`, `npm ci --prefix
bench/peers`). Not to be run as `python bench/queue.py`: this file has the name of a module that
Python itself imports.
"""

import argparse
import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import uvloop

from bench import claims, wake, workers
from bench.claims import FUNCTIONS, PLAIN
from bench.peers import run as peers
from bench.server import QUERIES, temporary_server
from lib.database import connect, load
from lib.database.pool import Connection

JOBS = 20_000
BATCHES = (1, 10, 50, 200)
WORKER_BATCHES = (1, 10, 50, 200, 500)
MILLION = 1_000_000
LATENCY_JOBS = 500
CROWD = 100_000
BESIDE = 100
ROUNDS = 10
PGBENCH_SECONDS = 5


def share(jobs: int, setting: int) -> int:
    """How many of the jobs to use: one at a time is slow, and a quarter tells as much."""
    return max(1, jobs // 4) if setting == 1 else jobs


def heading(title: str) -> None:
    print(f"\n{title}\n{'':58} {'jobs':>9} {'seconds':>9} {'jobs/s':>9}", flush=True)


def row(what: str, jobs: int, seconds: float, note: str = "") -> None:
    print(f"{what:58} {jobs:9,} {seconds:9.2f} {jobs / seconds:9,.0f}  {note}".rstrip(), flush=True)


def measure_sql(url: str, jobs: int, _rows: int) -> None:
    """Claim and complete from one connection, and the server's rate of single updates."""
    heading("Claim and complete from one connection")
    with connect(url) as connection:
        for way in (FUNCTIONS, PLAIN):
            if way is PLAIN:
                claims.plain.create_index(connection)
            for batch in BATCHES:
                count = share(jobs, batch)
                claims.prepare(connection, pending=count)
                spent = claims.work(connection, way, batch=batch, jobs=count)
                note = f"claim {spent.claiming:.2f} s, complete {spent.completing:.2f} s"
                seconds = spent.claiming + spent.completing
                row(f"{way.name}, batch {batch}", spent.jobs, seconds, note)
        claims.plain.drop_index(connection)
    print("\nThe limit: pgbench, prepared single-row updates")
    for connections in (1, 10):
        rate = single_row_updates(url, connections)
        print(f"{f'connections {connections}':78} {rate:9,.0f}", flush=True)


def single_row_updates(url: str, connections: int) -> float:
    """Updates per second that pgbench reaches, each its own transaction."""
    table = load("single_row", QUERIES)
    with connect(url) as connection:
        table.create_table(connection)
        table.create_key(connection)
        load("server", QUERIES).checkpoint(connection)
        programs = Path(load("server", QUERIES).facts(connection)["programs"])
    options = ["--no-vacuum", "--protocol=prepared", f"--client={connections}"]
    script = QUERIES / "single_row_update.sql"
    output = subprocess.run(
        [programs / "pgbench", *options, f"--time={PGBENCH_SECONDS}", f"--file={script}", url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rate = re.search(r"tps = ([\d.]+)", output)
    if rate is None:
        raise RuntimeError(f"pgbench named no rate: {output}")
    return float(rate[1])


def measure_worker(url: str, jobs: int, _rows: int) -> None:
    """Our whole worker, from its start to the last completion."""
    heading("Our worker, jobs that do nothing")
    for batch in WORKER_BATCHES:
        count = share(jobs, batch)
        with connect(url) as connection:
            claims.prepare(connection, pending=count)
        seconds = uvloop.run(workers.drain(url, jobs=count, batch=batch))
        row(f"batch {batch}", count, seconds)


def measure_peers(url: str, jobs: int, _rows: int) -> None:
    """Other queues, from the start of their worker to its last completion."""
    heading("Other queues, jobs that do nothing")
    for peer in peers.PEERS:
        obstacle = peers.missing(peer)
        if obstacle:
            print(f"Skipped: {obstacle}")
            continue
        name = f"{peer.package} {peers.version(peer)}"
        for value in peer.values:
            count = share(jobs, 1) if peer.slow else jobs
            seconds = peers.drain(peer, url, jobs=count, value=value)
            row(f"{name}, {peer.setting} {value}", count, seconds)


def measure_latency(url: str, jobs: int, _rows: int) -> None:
    """How soon an idle worker starts a job."""
    print("\nFrom enqueueing to start on an idle worker, woken by NOTIFY")
    print(wake.summary(uvloop.run(wake.pick_up_waits(url, min(jobs, LATENCY_JOBS)))), flush=True)


def measure_million(url: str, jobs: int, rows: int) -> None:
    """Claiming among `rows` pending and as many completed jobs, against few."""
    print("\nClaims per second by our SQL functions: nearly empty table, full table, ratio")
    with connect(url) as connection:
        counts = {batch: share(jobs, batch) for batch in (1, 50)}
        few = {batch: claim_rate(connection, batch, count) for batch, count in counts.items()}
        claims.prepare(connection, pending=rows, completed=rows)
        for batch, count in counts.items():
            spent = claims.work(connection, FUNCTIONS, batch=batch, jobs=count)
            many = spent.jobs / spent.claiming
            ratio = many / few[batch]
            print(f"batch {batch:3} {few[batch]:12,.0f} {many:12,.0f} {ratio:8.2f}", flush=True)


def measure_crowd(url: str, _jobs: int, rows: int) -> None:
    """How long a claim of one job takes beside a crowd, most of which cannot be claimed."""
    crowd = min(rows, CROWD)
    crowds: dict[str, Callable[..., object]] = {
        "nothing else": lambda _connection, **_: None,
        f"{crowd:,} due jobs of a held model": claims.fill.add_of_held_model,
        f"{crowd:,} jobs of tomorrow": claims.fill.add_of_tomorrow,
        f"{crowd:,} due jobs of 1,000 models": claims.fill.add_of_many_models,
    }
    print(f"\nClaims one by one, {BESIDE} jobs at a time, beside a crowd of higher priority")
    with connect(url) as connection:
        for name, add in crowds.items():
            claims.prepare(connection, pending=0)
            add(connection, jobs=crowd)
            load("server", QUERIES).vacuum_analyze(connection)
            waits = claims.claim_one_by_one(connection, rounds=ROUNDS, jobs=BESIDE)
            print(f"{name:40} {wake.summary(waits)}", flush=True)


def claim_rate(connection: Connection, batch: int, jobs: int) -> float:
    """Claims per second in a table that holds nothing else."""
    claims.prepare(connection, pending=jobs)
    return jobs / claims.work(connection, FUNCTIONS, batch=batch, jobs=jobs).claiming


SECTIONS: dict[str, Callable[[str, int, int], None]] = {
    "sql": measure_sql,
    "worker": measure_worker,
    "peers": measure_peers,
    "latency": measure_latency,
    "crowd": measure_crowd,
    "million": measure_million,
}


def print_machine(url: str) -> None:
    with connect(url) as connection:
        facts = load("server", QUERIES).facts(connection)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; Python"
        f" {platform.python_version()}; PostgreSQL {facts['version']}, fsync {facts['fsync']},"
        f" synchronous_commit {facts['synchronous_commit']},"
        f" shared_buffers {facts['shared_buffers']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the queue in jobs per second.")
    parser.add_argument(
        "--jobs", type=int, default=JOBS, help="jobs to drain (default %(default)s)"
    )
    parser.add_argument("--rows", type=int, default=MILLION, help="pending jobs of a full table")
    parser.add_argument(
        "--only", default=",".join(SECTIONS), help="sections to run (default %(default)s)"
    )
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    with temporary_server() as url:
        print_machine(url)
        for name in chosen:
            SECTIONS[name](url, arguments.jobs, arguments.rows)


if __name__ == "__main__":
    main()
