"""A real Cog server with a tiny model, and its own record of what it ran."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from environment import bare

MODEL = "home/tiny"
RUN = """
import os
import tempfile
import time
from pathlib import Path as File

from cog import BaseRunner, CancelationException, Input, Path
from PIL import Image


class Runner(BaseRunner):
    def setup(self) -> None:
        time.sleep(float(os.environ.get("SETUP_SECONDS", "0")))
        if os.environ.get("BROKEN"):
            raise RuntimeError("no such weights")

    def run(
        self,
        prompt: str = Input(description="What to draw"),
        seconds: float = Input(default=0.1, ge=0, le=600),
        count: int = Input(default=1, ge=1, le=4),
        side: int = Input(default=64, ge=8, le=4096),
        image: Path = Input(default=None),
    ) -> list[Path]:
        self.note("start", prompt)
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                # In short steps, between which it can be cancelled.
                time.sleep(0.01)
        except CancelationException:
            self.note("cancel", prompt)
            raise
        if "[fail]" in prompt:
            raise ValueError("out of memory")
        folder, size = File(tempfile.mkdtemp()), (side, side)
        files = [folder / f"out-{number}.png" for number in range(count)]
        for number, file in enumerate(files):
            if image is not None:
                made = Image.open(image).rotate(180)
            elif side > 1000:
                made = Image.frombytes("RGB", size, os.urandom(3 * side * side))
            else:
                made = Image.new("RGB", size, (len(prompt) % 256, number, 0))
            made.save(file)
        self.note("end", prompt)
        return [Path(file) for file in files]

    def note(self, what: str, prompt: str) -> None:
        with open(os.environ["RECORD"], "a") as record:
            record.write(f"{time.time()}\\t{what}\\t{prompt}\\n")
"""
INPUTS = {
    "prompt": {"type": "string", "description": "What to draw", "x-order": 0},
    "seconds": {"type": "number", "default": 0.1, "minimum": 0, "maximum": 600, "x-order": 1},
    "count": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4, "x-order": 2},
    "side": {"type": "integer", "default": 64, "minimum": 8, "maximum": 4096, "x-order": 3},
    "image": {"type": "string", "format": "uri", "nullable": True, "x-order": 4},
}
# As `cog build` writes it into the image.
SCHEMA = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {
        "schemas": {
            "Input": {
                "title": "Input",
                "type": "object",
                "required": ["prompt"],
                "properties": INPUTS,
            },
            "Output": {
                "title": "Output",
                "type": "array",
                "items": {"type": "string", "format": "uri"},
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the model by its own record; `end` is None if it neither ended nor was stopped."""

    prompt: str
    start: float
    end: float | None
    how: str | None


class CogServer:
    """A Cog server on this machine that can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self._port = unused.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / ".cog").mkdir(parents=True)
        (folder / "run.py").write_text(RUN)
        (folder / "cog.yaml").write_text('run: "run.py:Runner"\n')
        (folder / ".cog" / "openapi_schema.json").write_text(json.dumps(SCHEMA))

    def start(self, *, wait_for: str = "READY", **settings: str) -> None:
        """Start it, and wait until its health check has that status."""
        python = Path(sys.executable)
        environment = bare(
            PORT=str(self._port),
            COG_PREDICT_TYPE_STUB="run.py:Runner",
            RECORD=str(self._folder / "record"),
            **settings,
        )
        # Its worker is whichever Python the path has.
        environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-m", "cog.server.http", "--host", "127.0.0.1"],
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=log,
                # With the processes that it starts.
                start_new_session=True,
            )
        until = time.monotonic() + 60
        while self.health() != wait_for:
            assert time.monotonic() < until, (self._folder / "log").read_text()
            time.sleep(0.05)

    def health(self) -> Any:
        """The status of its health check; None while it does not listen."""
        try:
            return httpx.get(f"{self.url}/health-check", timeout=5).json()["status"]
        except httpx.RequestError:
            return None

    def kill(self) -> None:
        """Kill it and the process that runs the model; what that runs has no end."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def runs(self) -> list[Run]:
        """All runs of the model, in the order in which they started."""
        found: list[Run] = []
        path = self._folder / "record"
        lines = path.read_text().splitlines() if path.exists() else []
        for at, what, prompt in (line.split("\t") for line in lines):
            if what == "start":
                found.append(Run(prompt, float(at), None, None))
                continue
            # The server runs one at a time, so it is the last one.
            assert found[-1].prompt == prompt
            found[-1] = Run(prompt, found[-1].start, float(at), what)
        return found


@contextmanager
def cog_server(folder: Path, **settings: str) -> Iterator[CogServer]:
    """A running server, killed at the end. Skips without Cog; in CI that is a failure."""
    if not importlib.util.find_spec("cog"):
        message = "Cog is missing: pip install -r .ci/requirements.txt"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    server = CogServer(folder)
    try:
        server.start(**settings)
        yield server
    finally:
        server.kill()
