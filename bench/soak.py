"""Does the app grow while it works for half an hour? Prints a line a minute, and what grew.

    python -m bench.soak [--minutes 30] [--settling 10] [--per-second 5] [--viewers 5]

The app on its embedded default, with its worker, the simulated provider, a steady stream of
generations and viewers of the live Overview, of whom one leaves and one comes every minute. Fails
when, after the settling minutes, memory grows by MOST_MB or more, or the open files, threads or
connections to the database grow at all: the lowest minute of the second half of the remaining
minutes is compared with that of the first half, because Python's garbage collector makes a sawtooth
of the memory, and visitors one of the rest.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean

import psutil

from bench.browser import App, running_app
from bench.server import QUERIES
from bench.viewers import Viewer
from lib.database import connect, embedded, load
from lib.database.pool import Connection

MOST_MB = 5.0
SAMPLES_PER_MINUTE = 6
soak = load("soak", QUERIES)


@dataclass(frozen=True)
class Size:
    """What the app's process holds, as means of a minute."""

    memory_mb: float
    """Memory of its own, without what it shares with others."""
    files: float
    threads: float
    connections: float
    """To the database, of all its pools."""


def main() -> int:
    """Prints a line a minute and a summary; returns 1 when something grew."""
    parser = argparse.ArgumentParser(description="Measure whether the app grows while it works.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--settling", type=float, default=10)
    parser.add_argument("--per-second", type=float, default=5, help="generations")
    parser.add_argument("--viewers", type=int, default=5)
    options = parser.parse_args()
    # Fast enough for the stream: a backlog that grows would be a load that does.
    os.environ["DARKROOM_SIMULATOR_SPEED"] = "10"
    with tempfile.TemporaryDirectory() as folder:
        # As root the database server runs as another OS user, who must get to its data.
        Path(folder).chmod(0o755)
        with running_app(None, Path(folder)) as app:
            database = embedded.start(Path(folder) / "postgres")
            try:
                with connect(database.url) as connection:
                    sizes = asyncio.run(
                        run(app, connection, options.minutes, options.per_second, options.viewers)
                    )
                    print(f"{soak.completed(connection):,} generations completed")
            finally:
                database.stop()
    return 1 if report(sizes, options.settling) else 0


async def run(
    app: App, connection: Connection, minutes: float, per_second: float, viewers: int
) -> list[Size]:
    """The sizes of each minute under load."""
    process = psutil.Process(app.pid)
    sizes = []
    async with asyncio.TaskGroup() as group:
        load_task = group.create_task(generate(connection, per_second))
        watching = deque(group.create_task(Viewer("").watch(app.url)) for _ in range(viewers))
        for minute in range(1, max(2, round(minutes)) + 1):
            # A short run is there to be tried: its minutes are short, too.
            size = await minute_of(process, connection, min(60.0, minutes * 30))
            sizes.append(size)
            print(f"minute {minute:3}: {line(size)}", flush=True)
            watching.popleft().cancel()
            watching.append(group.create_task(Viewer("").watch(app.url)))
        for task in (load_task, *watching):
            task.cancel()
    return sizes


async def generate(connection: Connection, per_second: float) -> None:
    """Start generations at a steady pace, until cancelled."""
    due = time.monotonic()
    while True:
        await asyncio.to_thread(soak.start_generation, connection)
        due += 1 / per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def minute_of(process: psutil.Process, connection: Connection, seconds: float) -> Size:
    """The means of a minute."""
    samples = []
    for _ in range(SAMPLES_PER_MINUTE):
        await asyncio.sleep(seconds / SAMPLES_PER_MINUTE)
        with process.oneshot():
            samples.append(
                Size(
                    process.memory_full_info().uss / 1e6,
                    process.num_fds(),
                    process.num_threads(),
                    await asyncio.to_thread(soak.connections, connection),
                )
            )
    return mean(samples)


def mean(sizes: Sequence[Size]) -> Size:
    return Size(*(fmean(getattr(size, each.name) for size in sizes) for each in fields(Size)))


def line(size: Size) -> str:
    return (
        f"{size.memory_mb:7.1f} MB, {size.files:5.1f} files, {size.threads:5.1f} threads,"
        f" {size.connections:4.1f} connections"
    )


def report(sizes: Sequence[Size], settling: float) -> bool:
    """Prints how the sizes grew after the settling minutes; whether by too much."""
    first = min(round(settling), len(sizes) - 2)
    half = (first + len(sizes)) // 2
    before, after = lowest(sizes[first:half]), lowest(sizes[half:])
    grown = Size(*(getattr(after, each.name) - getattr(before, each.name) for each in fields(Size)))
    print(f"minutes {first + 1} to {half}: {line(before)} at least")
    print(f"minutes {half + 1} to {len(sizes)}: {line(after)} at least")
    print(f"grown by: {line(grown)}")
    return grown.memory_mb >= MOST_MB or max(grown.files, grown.threads, grown.connections) >= 1


def lowest(sizes: Sequence[Size]) -> Size:
    return Size(*(min(getattr(size, each.name) for size in sizes) for each in fields(Size)))


if __name__ == "__main__":
    sys.exit(main())
