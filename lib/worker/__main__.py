"""`python -m lib.worker`: one worker until SIGTERM or SIGINT."""

import asyncio
import logging
import signal

from lib.service import backend, prepare_database
from lib.settings import settings


async def work() -> None:
    """Runs a worker with this process's settings until it is told to stop."""
    chosen = settings()
    url = await asyncio.to_thread(prepare_database, chosen)
    async with backend(chosen, url) as service:
        worker = service.worker("worker")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run(
            url,
            poll_seconds=chosen.poll_seconds,
            stop_grace_seconds=chosen.stop_grace_seconds,
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Its info lines are one per request to the provider.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(work())
