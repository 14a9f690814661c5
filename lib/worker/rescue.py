"""Takes over from workers that died without a word."""

import socket

import psutil

from lib.database import AsyncPool, load_async, translated


async def rescue_dead_workers(pool: AsyncPool) -> int:
    """Takes the jobs of workers of this host whose process is gone. Returns how many jobs.

    Right only where every worker of this host's name shares its process table, as with the
    embedded database.
    """
    rescued = 0
    with translated():
        async with pool.connection() as connection:
            rows = load_async("worker").unstopped_workers(connection, host=socket.gethostname())
            for worker in [row async for row in rows]:
                if not _alive(worker["pid"], worker["process_started_at"]):
                    jobs = load_async("queue").rescue_worker_jobs(
                        connection, worker_id=worker["id"]
                    )
                    rescued += len([job async for job in jobs])
    return rescued


def _alive(pid: int, started_at: float) -> bool:
    try:
        return bool(abs(psutil.Process(pid).create_time() - started_at) < 1)
    except psutil.NoSuchProcess:
        return False
