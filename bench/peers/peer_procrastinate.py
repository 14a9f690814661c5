"""procrastinate: `enqueue <url> <jobs>`, or `drain <url> <jobs> <concurrency>`; prints seconds."""

import asyncio
import logging
import sys
import time

from procrastinate import App, PsycopgConnector

from bench.server import QUERIES
from lib.database import connect, load

ENQUEUED_AT_ONCE = 1000


def application(url: str) -> App:
    # With the default of four connections its jobs wait for one another.
    app = App(connector=PsycopgConnector(conninfo=url, max_size=20))

    @app.task(name="nothing")
    async def nothing() -> None: ...

    return app


async def enqueue(url: str, jobs: int) -> None:
    app = application(url)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for start in range(0, jobs, ENQUEUED_AT_ONCE):
            count = min(ENQUEUED_AT_ONCE, jobs - start)
            await app.tasks["nothing"].batch_defer_async(*({},) * count)


async def drain(url: str, concurrency: int) -> float:
    app = application(url)
    started = time.time()
    async with app.open_async():
        await app.run_worker_async(
            concurrency=concurrency, wait=False, install_signal_handlers=False
        )
    with connect(url) as connection:
        return load("peers", QUERIES).procrastinate_last_at(connection) - started


if __name__ == "__main__":
    # It warns that workers cannot import an app of the main module: this one need not.
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    if sys.argv[1] == "enqueue":
        asyncio.run(enqueue(sys.argv[2], int(sys.argv[3])))
    else:
        print(asyncio.run(drain(sys.argv[2], int(sys.argv[4]))))
