"""`python -m lib.worker`: run one worker until SIGTERM or SIGINT."""

import asyncio
import signal
import sys

import uvloop

from lib import logs
from lib.database import DatabaseError
from lib.service import backend, prepare_database
from lib.settings import SettingsError, settings


async def work() -> None:
    """Run a worker with this process's settings until it is stopped."""
    config = settings()
    url = await asyncio.to_thread(prepare_database, config)
    async with backend(config, url) as service:
        worker = service.worker("worker")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run(
            url,
            poll_seconds=config.poll_seconds,
            stop_grace_seconds=config.stop_grace_seconds,
        )


if __name__ == "__main__":
    logs.configure()
    try:
        # About 10% more jobs per second than asyncio's own event loop (bench/queue.py).
        uvloop.run(work())
    except (SettingsError, DatabaseError) as error:
        sys.exit(f"The worker cannot run: {error}")
