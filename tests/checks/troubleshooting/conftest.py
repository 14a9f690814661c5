"""The page Troubleshooting on a database that a test breaks, with real workers and a provider."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from environment import bare
from streamlit.testing.v1 import AppTest

from bench.recording import framed
from lib.database import Connection
from lib.provider.simulator.server import Simulator
from lib.settings import settings
from lib.ui import dashboard
from lib.ui.access import roles

PROJECT = Path(__file__).parents[3]
INVISIBLE = "\u2060"


class Troubleshooting:
    """The page as an operator uses it: read it, press what it offers, read it again."""

    def __init__(self) -> None:
        self._app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60).run()
        self._app.switch_page("pages/troubleshooting.py").run()

    def read(self, symptom: str) -> str:
        """What the page says of a symptom now."""
        AppTest.from_function(_forget).run()
        self._app.selectbox(key="symptom").set_value(symptom).run()
        assert not self._app.exception
        shown = [*self._app.error, *self._app.warning, *self._app.success]
        shown += [*self._app.markdown, *self._app.text, *self._app.caption]
        return "\n".join(_plain(element.value) for element in shown)

    def healthy(self, symptom: str) -> bool:
        """Whether no cause is found for a symptom."""
        return "All good." in self.read(symptom)

    def press(self, label: str) -> str:
        """Presses the button of a repair, confirms it, and returns the report.

        The dialog itself is tried in a browser.
        """
        [button] = [one for one in self._app.button if _plain(one.label) == label]
        button.click().run()
        action = self._app.session_state["action to confirm"]
        del self._app.session_state["action to confirm"]
        return _plain(action.run())


def _forget() -> None:
    from lib.ui.dashboard import clear_cached_answers

    clear_cached_answers()


def _plain(text: str) -> str:
    """A text without what escapes it for Markdown."""
    return text.replace(INVISIBLE, "").replace("\\", "")


@pytest.fixture
def page(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Troubleshooting]:
    """The page on the test's database."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("DARKROOM_DATA", str(tmp_path))
    # Whoever tries the page has no address; a browser's is tried elsewhere.
    monkeypatch.setattr(roles, "is_local_request", lambda *_: True)
    settings.cache_clear()
    st.cache_resource.clear()
    AppTest.from_function(_forget).run()
    with framed():
        yield Troubleshooting()
    dashboard.pool().close()
    st.cache_resource.clear()
    settings.cache_clear()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A fast simulated provider without random failures."""
    server = Simulator(tmp_path_factory.mktemp("provider"), speed=100, failure_rate=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start_worker(
    database: str,
    db: Connection,
    provider: Simulator,
    tmp_path: Path,
    eventually: Callable[..., Any],
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts worker processes, and waits until they are known; `token` is the provider's."""
    started: list[subprocess.Popen[bytes]] = []

    def start(token: str = provider.token) -> subprocess.Popen[bytes]:
        known = "select count(*) as n from workers"
        before = db.execute(known).fetchone()["n"]  # type: ignore[index]
        environment = bare(
            DATABASE_URL=database,
            DARKROOM_DATA=str(tmp_path),
            REPLICATE_API_TOKEN=token,
            REPLICATE_API_URL=provider.base_url,
            DARKROOM_HEARTBEAT_SECONDS="1",
            DARKROOM_POLL_SECONDS="0.1",
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "lib.worker"], cwd=PROJECT, env=environment
        )
        started.append(process)
        eventually(lambda: db.execute(known).fetchone()["n"] > before)  # type: ignore[index]
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def ended(db: Connection, eventually: Callable[..., Any]) -> Callable[[int], list[str]]:
    """Waits until so many jobs have ended, and gives their statuses."""
    query = "select status from job_queue where completed_at is not null order by completed_at"

    def wait(jobs: int) -> list[str]:
        rows: list[Any] = eventually(
            lambda: rows if len(rows := db.execute(query).fetchall()) == jobs else None, 40
        )
        return [row["status"] for row in rows]

    return wait
