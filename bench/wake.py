"""How long after its enqueuing does an idle worker start a job? Prints milliseconds.

    python -m bench.wake [JOBS]

On an embedded server of its own; the worker polls once an hour, so that only NOTIFY wakes it.
"""

import asyncio
import sys

import uvloop

from bench.claims import fill
from bench.server import temporary_server
from bench.workers import open_worker
from lib.database import connect
from lib.queue.worker_calls import Claim

JOBS = 500


async def nothing(_claim: Claim) -> dict[str, object]:
    return {}


async def pick_up_waits(url: str, jobs: int) -> list[float]:
    """Milliseconds from enqueueing to start of each job on an idle worker, shortest first."""
    async with open_worker(url, nothing, concurrency=10, batch=10) as worker:
        running = asyncio.create_task(worker.run(url, poll_seconds=3600, stop_grace_seconds=1))
        with connect(url) as connection:
            fill.empty(connection)
            await asyncio.sleep(1)
            for _ in range(jobs):
                fill.enqueue(connection)
                await asyncio.sleep(0.02)
            await asyncio.sleep(1)
            waits = [row["milliseconds"] for row in fill.waits(connection)]
        worker.stop()
        await running
    return waits


def percentile(waits: list[float], share: float) -> float:
    """The smallest wait that so large a share of the sorted waits does not exceed."""
    return waits[max(0, round(len(waits) * share) - 1)]


def summary(waits: list[float]) -> str:
    """The waits in words, in milliseconds."""
    p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
    return f"{len(waits)} jobs: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {waits[-1]:.1f} ms"


if __name__ == "__main__":
    with temporary_server() as url:
        count = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
        print(summary(uvloop.run(pick_up_waits(url, count))))
