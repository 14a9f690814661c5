"""A browser that nobody listens to, for times as a viewer has them.

Playwright is told of every request of a page and tells it on; on two cores that alone makes a page
a quarter slower. So this one speaks the browser's protocol, and only to open pages and to ask when
they were painted.
"""

import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bench.browser import FLAGS, WATCH, chromium_path

PATIENCE = 60.0
"""Seconds for a page to be painted."""
SETTLING = 1.0
"""Seconds. Whoever opens an address has a tab that is already there, and no other that closes."""
LOOK = 0.2


class Visitor:
    """Chromium, of which each window is a new browser: without caches, cookies and the like."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer of the browser, or of one of its tabs. Raises RuntimeError for an error."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._connection.send(json.dumps(message))
        while True:
            answer: dict[str, Any] = json.loads(self._connection.recv())
            if answer.get("id") == number:
                break
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    @property
    def version(self) -> str:
        """Such as "Chrome/142.0.7444.59"."""
        product: str = self.call("Browser.getVersion")["product"]
        return product

    @contextmanager
    def tab(self, script: str = "") -> Iterator["Tab"]:
        """The only tab of a new window, on a desktop, once the browser has come to rest.

        `script` is JavaScript that runs in each page before those of the page do.
        """
        window = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call(
            "Target.createTarget",
            url="about:blank",
            browserContextId=window,
            width=1440,
            height=900,
        )
        session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self, session["sessionId"], script)
        time.sleep(SETTLING)
        yield tab
        self.call("Target.disposeBrowserContext", browserContextId=window)


class Tab:
    """A tab that notes when a page is painted."""

    def __init__(self, visitor: Visitor, session: str, script: str) -> None:
        self._visitor = visitor
        self._session = session
        self._call("Page.enable")
        self._call("Page.addScriptToEvaluateOnNewDocument", source=f"{WATCH}\n{script}")

    def painted(self, url: str) -> float:
        """Opens the page; seconds until the last of its charts and tables is painted.

        Raises TimeoutError when it is not before PATIENCE ends.
        """
        self._call("Page.navigate", url=url)
        return self._painted()

    def followed(self, path: str) -> float:
        """Clicks on a link of the sidebar; seconds until the next page is painted."""
        self._value(f"window.follow({json.dumps(path)})")
        return self._painted()

    def figures(self) -> float | None:
        """Seconds until the Overview's strip and figures were painted; None on other pages."""
        milliseconds = self._value("window.figuresAfter")
        return float(milliseconds) / 1000 if milliseconds else None

    def _painted(self) -> float:
        due = time.monotonic() + PATIENCE
        while time.monotonic() < due:
            time.sleep(LOOK)
            if milliseconds := self._value("window.paintedAfter"):
                return float(milliseconds) / 1000
        raise TimeoutError(f"The page was not painted within {PATIENCE:.0f} s.")

    def _value(self, expression: str) -> Any:
        answer = self._call("Runtime.evaluate", expression=expression)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._visitor.call(method, self._session, **parameters)


@contextmanager
def visitor() -> Iterator[Visitor]:
    """Starts Chromium or Chrome from the PATH, and ends it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [
                chromium_path(),
                "--headless=new",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
                *FLAGS,
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(folder), process), max_size=None) as connection:
                yield Visitor(connection)
        finally:
            process.terminate()
            process.wait(60)


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser takes calls: it writes that to its folder."""
    note = folder / "DevToolsActivePort"
    while not (note.exists() and len(lines := note.read_text().split()) == 2):
        if process.poll() is not None:
            raise RuntimeError("Chromium did not start.")
        time.sleep(0.05)
    port, path = lines
    return f"ws://127.0.0.1:{port}{path}"
