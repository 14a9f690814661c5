"""pgqueuer: `enqueue <url> <jobs>`, or `drain <url> <jobs> <batch>`; prints the seconds.

With asyncpg, the faster of its drivers, on uvloop, as its own command line runs it.
"""

import sys
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

from bench.server import QUERIES
from lib.database import connect, load

ENQUEUED_AT_ONCE = 1000


async def enqueue(url: str, jobs: int) -> None:
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    for start in range(0, jobs, ENQUEUED_AT_ONCE):
        count = min(ENQUEUED_AT_ONCE, jobs - start)
        await queries.enqueue(["nothing"] * count, [None] * count, [0] * count)
    await connection.close()


async def drain(url: str, batch: int) -> float:
    started = time.time()
    connection = await asyncpg.connect(url)
    queuer = PgQueuer(AsyncpgDriver(connection))

    @queuer.entrypoint("nothing")
    async def nothing(_job: Job) -> None: ...

    await queuer.run(batch_size=batch, mode=QueueExecutionMode.drain)
    await connection.close()
    with connect(url) as own:
        return load("peers", QUERIES).pgqueuer_last_at(own) - started


if __name__ == "__main__":
    if sys.argv[1] == "enqueue":
        uvloop.run(enqueue(sys.argv[2], int(sys.argv[3])))
    else:
        print(uvloop.run(drain(sys.argv[2], int(sys.argv[4]))))
