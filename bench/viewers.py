"""Do thirty viewers cost the database more than one? Prints queries a second.

    python -m bench.viewers --data FOLDER [--viewers 30] [--page failures] [--seconds 60]

Each viewer is a session of a live page, the Overview unless another is named, that asks for its
redrawing as the browser does; thirty Chromiums would measure the machine instead. Fails when all
together cause more than 1.2 times the queries of one, or are not drawn as often as is due.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from streamlit.proto.AutoRerun_pb2 import AutoRerun
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Origin, Subprotocol
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_of

from bench.browser import App, running_app
from bench.cost import statistics
from bench.history import JOBS, loaded_database
from lib.database import connect
from lib.ui.dashboard import REFRESH_SECONDS

SECONDS = 60.0
SETTLING_SECONDS = 10.0
MOST = 1.2
LEAST_REDRAWS = 0.9
"""Share of the redraws that are due, below which the app has fallen behind."""


class Viewer:
    """One session of a page."""

    def __init__(self, page: str) -> None:
        self.redraws = 0
        self._page = page
        self._page_hash = ""

    async def watch(self, app: str) -> None:
        """Opens the page and has its live panel drawn again whenever that is due."""
        stream = f"{app.replace('http', 'ws', 1)}/_stcore/stream"
        protocol = [Subprotocol("streamlit")]
        async with (
            websocket_of(
                stream, origin=Origin(app), subprotocols=protocol, max_size=None
            ) as socket,
            asyncio.TaskGroup() as timers,
        ):
            await self._ask(socket)
            live: set[str] = set()
            async for data in socket:
                message = ForwardMsg.FromString(data)
                kind = message.WhichOneof("type")
                if kind == "new_session":
                    self._page_hash = message.new_session.page_script_hash
                elif kind == "auto_rerun" and message.auto_rerun.fragment_id not in live:
                    live.add(message.auto_rerun.fragment_id)
                    timers.create_task(self._ask_on(socket, message.auto_rerun))
                elif kind == "script_finished":
                    self.redraws += 1

    async def _ask_on(self, socket: ClientConnection, due: AutoRerun) -> None:
        while True:
            await asyncio.sleep(due.interval)
            await self._ask(socket, due.fragment_id)

    async def _ask(self, socket: ClientConnection, fragment: str = "") -> None:
        message = BackMsg()
        message.rerun_script.page_name = self._page
        message.rerun_script.page_script_hash = self._page_hash
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = bool(fragment)
        message.rerun_script.context_info.timezone = "UTC"
        await socket.send(message.SerializeToString())


@asynccontextmanager
async def watching(viewers: int, app: App, page: str) -> AsyncIterator[Sequence[Viewer]]:
    """So many viewers of a page, who have settled."""
    seen = [Viewer(page) for _ in range(viewers)]
    async with asyncio.TaskGroup() as group:
        tasks = []
        for viewer in seen:
            tasks.append(group.create_task(viewer.watch(app.url)))
            # Thirty people do not come at the same moment.
            await asyncio.sleep(REFRESH_SECONDS / viewers)
        await asyncio.sleep(SETTLING_SECONDS)
        yield seen
        for task in tasks:
            task.cancel()


@dataclass(frozen=True)
class Load:
    """What so many viewers cause."""

    queries: float
    """A second; those with which the pool checks its connections are among them."""
    redraws: float
    """A second, of the viewer who has the fewest."""
    processor: float
    """Share of one core that the app takes."""


async def load_of(viewers: int, app: App, page: str, database_url: str, seconds: float) -> Load:
    """The load of that many viewers, measured for `seconds`."""
    process = psutil.Process(app.pid)
    async with watching(viewers, app, page) as seen:
        with connect(database_url) as connection:
            process.cpu_percent()
            redraws = [viewer.redraws for viewer in seen]
            queries, began = statistics.commits(connection), time.monotonic()
            await asyncio.sleep(seconds)
            queries, took = statistics.commits(connection) - queries, time.monotonic() - began
            fewest = min(v.redraws - n for v, n in zip(seen, redraws, strict=True))
            return Load(queries / took, fewest / took, process.cpu_percent() / 100)


def main() -> int:
    """Prints a line for one viewer and one for many; returns 1 when many cost more."""
    parser = argparse.ArgumentParser(description="Measure what open viewers cost the database.")
    parser.add_argument("--data", type=Path, required=True, help="folder of a history")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--viewers", type=int, default=30)
    parser.add_argument("--page", default="", help="the page's path")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="to measure each")
    options = parser.parse_args()
    url = loaded_database(options.data.resolve(), options.jobs)
    with connect(url) as connection:
        # The server counts by database, not by client.
        if others := statistics.other_sessions(connection):
            raise SystemExit(f"{others} other connections: their queries would be counted too.")
    loads = []
    with tempfile.TemporaryDirectory() as folder, running_app(url, Path(folder)) as app:
        for viewers in (1, options.viewers):
            load = asyncio.run(load_of(viewers, app, options.page, url, options.seconds))
            loads.append(load)
            print(
                f"{viewers:3} viewers: {load.queries:6.2f} queries/s, each drawn at least"
                f" {load.redraws:.2f} times/s, {load.processor:.0%} of a core",
                flush=True,
            )
    one, many = loads
    print(f"{many.queries / one.queries:.2f} times the queries of one")
    behind = many.redraws < LEAST_REDRAWS / REFRESH_SECONDS
    if behind:
        print("The app fell behind, so the comparison says nothing.")
    return 1 if behind or many.queries > MOST * one.queries else 0


if __name__ == "__main__":
    sys.exit(main())
