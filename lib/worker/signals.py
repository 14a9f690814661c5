"""Act on the signals that stop a process, before its server does."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_signals(action: Callable[[], None]) -> Iterator[None]:
    """Run the action on SIGTERM and SIGINT, before the server's own handlers.

    The server first waits for open requests, and those wait for their jobs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def act(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)
        if callable(handler := before[signal.Signals(number)]):
            handler(number, frame)

    for number in before:
        signal.signal(number, act)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
