"""The whole app as its users start it: a process of its own, on a data folder of its own."""

import atexit
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from environment import bare, data_folder

from lib.database import connect, embedded
from lib.service import prepare_database
from lib.settings import parse
from lib.settings.keys import Keys, local_keys

PROJECT = Path(__file__).parents[1]


class App:
    """`streamlit run app.py` on a folder; may be started, killed and started again."""

    def __init__(self, folder: Path, eventually: Callable[..., Any], **settings: str) -> None:
        self.folder = folder
        self.log = folder / f"app-{id(self)}.log"
        self._eventually = eventually
        self._settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, empty_folder: bool = False) -> "App":
        """Starts on a copy of a prepared database, or on what the folder holds already."""
        prepared = not (empty_folder or "DATABASE_URL" in self._settings)
        if prepared and not (self.folder / "postgres").exists():
            source = prepared_folder(self._settings.get("DARKROOM_SAMPLE_DATA", "1"))
            # With its owner: as root the server runs as another OS user.
            subprocess.run(["cp", "-a", source / "postgres", self.folder], check=True)
            if (source / "images").exists():
                shutil.copytree(source / "images", self.folder / "images", dirs_exist_ok=True)
        address = self._settings.get("STREAMLIT_SERVER_ADDRESS", "")
        ipv6 = ":" in address
        with socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET) as free:
            free.bind(("::1" if ipv6 else "127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://{f'[{address}]' if ipv6 else '127.0.0.1'}:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"],
            cwd=PROJECT,
            env=bare(**({"DARKROOM_DATA": str(self.folder)} | self._settings)),
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        self._eventually(self._answers, 60)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/_stcore/health").is_success
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(60)

    @property
    def keys(self) -> Keys:
        return local_keys(self.folder)

    def post(self, function: str, json: Any = None) -> httpx.Response:
        return httpx.post(
            f"{self.url}/functions/v1/{function}",
            json=json,
            headers={"apikey": self.keys.secret},
            timeout=60,
        )

    def call(self, function: str, json: Any = None) -> Any:
        return self.post(function, json).raise_for_status().json()

    def rows(self, query: str) -> list[dict[str, Any]]:
        with connect(embedded.start(self.folder / "postgres").url) as connection:
            return connection.execute(query).fetchall()


@cache
def prepared_folder(sample_data: str) -> Path:
    """A data folder as the app leaves it after its first start, made once a run."""
    folder = data_folder("prepared")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    values = {"DARKROOM_DATA": str(folder), "DARKROOM_SAMPLE_DATA": sample_data}
    prepare_database(parse(values))
    embedded.start(folder / "postgres").stop()
    return folder


@contextmanager
def apps(eventually: Callable[..., Any]) -> Iterator[Callable[..., App]]:
    """Makes apps on one data folder; whatever still runs is stopped at the end."""
    folder = data_folder("app")
    made: list[App] = []

    def make(**settings: str) -> App:
        settings = {"DARKROOM_SIMULATOR_FAILURE_RATE": "0"} | settings
        made.append(App(folder, eventually, **settings))
        return made[-1]

    yield make
    for app in made:
        if app.process and app.process.poll() is None:
            app.end()
    if (folder / "postgres").exists():
        embedded.start(folder / "postgres").stop()
    shutil.rmtree(folder)
