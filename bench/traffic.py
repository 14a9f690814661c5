"""What an open page sends and receives, and how often its script runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, WebSocket
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

STREAMLITS = ("/static/", "/favicon.png", "/manifest.json")
"""Where Streamlit's own assets are; every page's document is one too."""
STEP_MILLISECONDS = 50
SETTLED_SECONDS = 1.0


@dataclass(frozen=True)
class Exchange:
    """What was caused by opening a page, by its refresh or by a choice on it."""

    runs: int
    """Of the script or of a fragment."""
    bytes: int
    """Both ways, Streamlit's own assets left out."""


class Traffic:
    """Counts what the page exchanges from now on.

    Frames of the websocket count with their payload, which is what travels: Streamlit does not
    compress them unless `server.enableWebsocketCompression` is set. Answers over HTTP count with
    their headers and their body as it travels.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._runs = 0
        self._framed = 0
        self._requests: list[Request] = []
        self.refreshes = False
        """Whether the page asks to be drawn again by itself."""
        page.on("websocket", self._listen)
        page.on("requestfinished", lambda request: self._requests.append(request))

    def so_far(self) -> Exchange:
        """All until now."""
        ours = [request for request in self._requests if not is_streamlits(request)]
        return Exchange(self._runs, self._framed + sum(map(size, ours)))

    def assets(self) -> int:
        """Bytes of Streamlit's own assets until now."""
        return sum(size(request) for request in self._requests if is_streamlits(request))

    def of(self, cause: Callable[[], None], patience: float) -> Exchange | None:
        """What comes of it until no script has run for a while; None if none begins to."""
        before = self.so_far()
        cause()
        if not self._wait(lambda: self._runs > before.runs, patience):
            return None
        while self._wait(lambda seen=self._runs: self._runs > seen, SETTLED_SECONDS):
            pass
        return self._since(before)

    def of_refresh(self, patience: float) -> Exchange | None:
        """What the next refresh takes; None if none comes."""
        before = self.so_far()
        if not self._wait(lambda: self._runs > before.runs, patience):
            return None
        return self._since(before)

    def _since(self, before: Exchange) -> Exchange:
        now = self.so_far()
        return Exchange(now.runs - before.runs, now.bytes - before.bytes)

    def _wait(self, happened: Callable[[], bool], patience: float) -> bool:
        until = time.monotonic() + patience
        while not happened() and time.monotonic() < until:
            # Playwright tells of frames while it waits.
            self._page.wait_for_timeout(STEP_MILLISECONDS)
        return happened()

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", self._count)
        socket.on("framereceived", self._read)

    def _count(self, frame: bytes | str) -> None:
        self._framed += len(frame)

    def _read(self, frame: bytes | str) -> None:
        self._count(frame)
        message = ForwardMsg.FromString(frame if isinstance(frame, bytes) else frame.encode())
        kind = message.WhichOneof("type")
        self._runs += kind == "script_finished"
        self.refreshes |= kind == "auto_rerun"


def is_streamlits(request: Request) -> bool:
    """Whether it asks for an asset of Streamlit's own."""
    path = urlsplit(request.url).path
    return request.resource_type == "document" or path.startswith(STREAMLITS)


def size(request: Request) -> int:
    """Bytes of the answer."""
    sizes = request.sizes()
    return sizes["responseHeadersSize"] + sizes["responseBodySize"]
