"""How long after its enqueuing does an idle worker start a job? Prints milliseconds.

    .venv/bin/python -m bench.wake

On an embedded server of its own; the worker polls once an hour, so that only NOTIFY wakes it.
"""

import asyncio
import statistics
import tempfile
from pathlib import Path

from lib.database import connect, embedded, open_async_pool
from lib.database.bootstrap import bootstrap
from lib.database.migrations import apply
from lib.worker.worker import Worker

JOBS = 200


async def nothing(_claim):
    return {}


async def measure(url: str) -> list[float]:
    pool = await open_async_pool(url)
    worker = Worker(pool, {"bench": nothing}, kind="worker", concurrency=10, heartbeat_seconds=15)
    running = asyncio.create_task(worker.run(url, poll_seconds=3600, stop_grace_seconds=1))
    with connect(url) as connection:
        await asyncio.sleep(1)
        for _ in range(JOBS):
            connection.execute("select public.enqueue_job('bench', '{}')")
            await asyncio.sleep(0.02)
        await asyncio.sleep(1)
        waits = connection.execute(
            "select extract(epoch from started_at - created_at)::float8 * 1000 as ms"
            " from public.job_queue where status = 'completed'"
        ).fetchall()
    worker.stop()
    await running
    await pool.close()
    return sorted(row["ms"] for row in waits)


with tempfile.TemporaryDirectory() as folder:
    Path(folder).chmod(0o755)
    server = embedded.start(Path(folder) / "postgres")
    with connect(server.url) as connection:
        bootstrap(connection)
        apply(connection)
    waits = asyncio.run(measure(server.url))
    server.stop()
p95 = waits[round(len(waits) * 0.95) - 1]
print(f"{len(waits)} of {JOBS} jobs: median {statistics.median(waits):.1f} ms, ", end="")
print(f"95 % within {p95:.1f} ms, longest {waits[-1]:.1f} ms")
