"""The live log of a job: one request to the provider, whose token is shown to nobody."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.provider.simulator.server import Simulator
from lib.resources import provider
from lib.settings import Settings, parse
from lib.ui.parts import job_log
from lib.ui.parts.job_log import MAX_CHARS, live_log

MODEL = "black-forest-labs/flux-schnell"
ELSEWHERE = {"DARKROOM_FUNCTIONS_URL": "http://functions.example"}
TOKEN = {"REPLICATE_API_TOKEN": "r8_" + "x" * 37}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def simulator(data: Path) -> Iterator[Simulator]:
    """The simulator of an app on that data folder."""
    made = Simulator(data / "replicate", speed=1, failure_rate=0)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def app(data: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of that app."""
    live_log.clear()
    settings = parse({"DARKROOM_DATA": str(data)})
    monkeypatch.setattr(job_log, "settings", lambda: settings)
    return settings


async def create(settings: Settings) -> str:
    client = provider(settings)
    assert client
    made = await client.create(MODEL, {"prompt": "fox [hang]"})
    await client.aclose()
    return made.id


def test_it_grows_and_viewers_share_an_answer(
    simulator: Simulator, app: Settings, eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = asyncio.run(create(app))

    def read() -> str:
        live_log.clear()
        return live_log(prediction)[0]

    first = eventually(read)
    assert first.startswith("Using seed:")
    monkeypatch.setattr(job_log, "provider", None)
    assert live_log(prediction) == (first, "")


def test_only_its_end_is_kept(simulator, app, monkeypatch) -> None:
    async def long(*_: object) -> str:
        return "x" * 20_000 + "end"

    monkeypatch.setattr(job_log, "_log", long)
    log, _ = live_log("p1")
    assert len(log) == MAX_CHARS
    assert log.endswith("end")


def test_an_error_is_a_sentence_without_the_token(simulator: Simulator, app: Settings) -> None:
    log, problem = live_log("nosuchprediction")
    assert (log, "nosuchprediction" in problem) == ("", True)
    assert simulator.token not in problem


def test_a_provider_that_hangs_is_not_waited_for(app, monkeypatch) -> None:
    async def never(*_: object) -> str:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)
        return ""

    monkeypatch.setattr(job_log, "_log", never)
    assert live_log("p1") == ("", "The provider did not respond within 5 s.")


def test_without_a_simulator_there_is_nobody_to_ask(simulator: Simulator, app: Settings) -> None:
    assert provider(app) is not None
    simulator.stop()
    assert provider(app) is None
    assert live_log("p1") == ("", "The simulated provider is not running.")


def test_the_token_decides_when_the_functions_are_elsewhere(simulator, data: Path) -> None:
    here = {"DARKROOM_DATA": str(data)}
    assert provider(parse(here | ELSEWHERE)) is None
    assert provider(parse(here | ELSEWHERE | TOKEN)) is not None
