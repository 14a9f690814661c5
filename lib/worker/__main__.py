"""`python -m lib.worker`: run one worker until SIGTERM or SIGINT."""

import os
import signal

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

if __name__ == "__main__":
    # Before the imports below, which take a second: nothing has begun yet, and as process 1 of a
    # container it would ignore a signal without a handler.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))

import asyncio
import sys

import uvloop

from lib import logs, memory
from lib.database import DatabaseError
from lib.service import backend, prepare_database, prompt_check
from lib.settings import SettingsError, settings


async def work() -> None:
    """Run a worker with this process's settings until it is stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    config = settings()
    prompt_check(config)
    url = await asyncio.to_thread(prepare_database, config)
    async with backend(config, url) as service:
        worker = service.worker("worker")
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, worker.stop)
        await worker.run(
            url,
            poll_seconds=config.poll_seconds,
            stop_grace_seconds=config.stop_grace_seconds,
        )


if __name__ == "__main__":
    logs.configure()
    memory.limit_arenas()
    try:
        # About 10% more jobs per second than asyncio's own event loop (bench/queue.py).
        uvloop.run(work())
    except (SettingsError, DatabaseError) as error:
        sys.exit(f"The worker cannot run: {error}")
    except asyncio.CancelledError:
        pass  # stopped while it started
