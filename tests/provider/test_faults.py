"""Every fault as a client of the simulated provider meets it."""

import json
import math
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from lib.ops.fault_injection import PRESETS, with_model
from lib.provider import ProviderError
from lib.provider.simulator.faults import FAILURES, FaultFile, Faults, FaultsError, ModelFaults
from lib.provider.simulator.schedule import Schedule
from lib.provider.simulator.server import Simulator
from lib.storage import NotAnImage
from lib.storage.local import LocalStorage

SCHNELL, DEV = "black-forest-labs/flux-schnell", "black-forest-labs/flux-dev"
INPUT = {"prompt": "a fox", "width": 64, "height": 64}


@pytest.fixture
def faulty(folder):
    """A simulator of the test's own, and the file of its faults."""
    server = Simulator(folder, speed=100, failure_rate=0)
    server.start()
    yield server, FaultFile(folder)
    server.stop()


@pytest.fixture
def inject(faulty):
    return faulty[1].write


@pytest.fixture
def client(faulty, connect):
    return connect(faulty[0].token, faulty[0].base_url, max_wait=0)


def all_models(**wrong) -> Faults:
    return Faults(all_models=ModelFaults(**wrong))


def failing(kind: str, percent: float = 100, **more) -> Faults:
    return all_models(failures={kind: percent}, **more)


async def run(client, model: str = SCHNELL, deadline: float = 20):
    """The last state of a prediction."""
    states = [await client.create(model, INPUT)]
    states += [state async for state in client.follow(states[0], deadline=deadline)]
    return states[-1]


async def refusal(client, model: str = SCHNELL) -> ProviderError:
    with pytest.raises(ProviderError) as refused:
        await client.create(model, INPUT)
    return refused.value


async def test_without_faults_all_is_well(client, faulty):
    assert (await run(client)).status == "succeeded"
    assert (faulty[1].exists(), faulty[1].read()) == (False, Faults())


@pytest.mark.parametrize(
    ("kind", "code", "permanent", "status"),
    [
        ("429", "rate_limited", False, 429),
        ("500", "provider_error", False, 500),
        ("401", "unauthorized", True, 401),
        ("402", "no_credit", True, 402),
        ("404", "model_not_found", True, 404),
        ("422", "invalid_input", True, 422),
    ],
)
async def test_refused_creations(client, inject, kind, code, permanent, status):
    inject(failing(kind, retry_after=17))
    error = await refusal(client)
    assert (error.code, error.permanent, error.status) == (code, permanent, status)
    assert error.retry_after == (17 if kind == "429" else None)


async def test_failed_predictions(client, inject):
    inject(failing("prediction_failed"))
    state = await run(client)
    assert state.status == "failed"
    with pytest.raises(ProviderError, match="failed: CUDA out of memory"):
        _ = state.images


async def test_predictions_without_end_are_cancelled_at_the_deadline(client, inject):
    inject(failing("never_ends"))
    with pytest.raises(ProviderError) as late:
        await run(client, deadline=0.6)
    assert late.value.code == "deadline_exceeded"


async def test_images_that_are_none(client, inject, tmp_path):
    state = await run(client)
    inject(failing("not_an_image"))
    spoilt = await client.download(state.images[0])
    with pytest.raises(NotAnImage):
        await LocalStorage(tmp_path / "images", "http://app").save(str(state.id), spoilt)
    inject(Faults())
    assert (await client.download(state.images[0])).startswith(b"RIFF")


async def test_a_provider_that_cuts_every_connection(client, inject):
    running = await client.create(SCHNELL, INPUT)
    inject(Faults(outage="cut"))
    assert (await refusal(client)).code == "unreachable"
    with pytest.raises(ProviderError, match="does not respond"):
        await client.get(running.id)
    inject(Faults())
    assert (await run(client)).status == "succeeded"


async def test_a_provider_that_answers_503(client, inject):
    image = (await run(client)).images[0]
    inject(Faults(outage="unavailable"))
    assert (await refusal(client)).status == 503
    with pytest.raises(ProviderError) as error:
        await client.download(image)
    assert (error.value.code, error.value.status) == ("image_unreachable", 503)


async def test_slow_models(client, inject):
    inject(all_models(extra_seconds=1))
    began = time.monotonic()
    assert (await run(client)).status == "succeeded"
    assert time.monotonic() - began >= 1


def test_the_course_of_a_slow_prediction():
    usual = Schedule(2.0, 5.0, None)
    assert ModelFaults().applied_to(usual, None) == usual
    assert ModelFaults(slower=10, extra_seconds=4).applied_to(usual, None) == Schedule(2, 36, None)
    assert ModelFaults().applied_to(usual, "never_ends").ends == math.inf


async def test_a_share_of_the_predictions_is_met(client, inject):
    inject(failing("402", 30))
    seen = Counter()
    for _ in range(200):
        try:
            await client.create(SCHNELL, INPUT)
            seen["created"] += 1
        except ProviderError as error:
            seen[error.code] += 1
    # Of 200, 60 are expected; less than one run in a million is five deviations off.
    assert seen.keys() == {"created", "no_credit"}
    assert abs(seen["no_credit"] - 60) < 33


def test_shares_of_several_failures():
    wrong = ModelFaults(failures={"500": 20, "never_ends": 50, "402": 10})
    drawn = Counter(wrong.failure_for(str(number)) for number in range(10_000))
    assert drawn.keys() == {"500", "never_ends", "402", None}
    for kind, expected in {"500": 2000, "never_ends": 5000, "402": 1000, None: 2000}.items():
        assert abs(drawn[kind] - expected) < 250
    assert {ModelFaults(failures={"500": 100}).failure_for(str(n)) for n in range(1000)} == {"500"}


async def test_a_model_of_its_own_faults_has_no_others(client, inject):
    inject(
        Faults(
            all_models=ModelFaults(failures={"402": 100}),
            models={DEV: ModelFaults(failures={"500": 100})},
        )
    )
    assert (await refusal(client, DEV)).code == "provider_error"
    assert (await refusal(client)).code == "no_credit"


async def test_a_rate_limit_of_all_models_together(client, inject):
    inject(all_models(creates_per_minute=3))
    for model in (SCHNELL, DEV, SCHNELL):
        await client.create(model, INPUT)
    for model in (SCHNELL, DEV):
        error = await refusal(client, model)
        assert (error.code, error.status) == ("rate_limited", 429)
        assert 50 <= error.retry_after <= 60


async def test_a_rate_limit_of_one_model(client, inject):
    for _ in range(3):
        await client.create(SCHNELL, INPUT)
    inject(Faults(models={SCHNELL: ModelFaults(creates_per_minute=2)}))
    # Three were made in this minute: the second newest must go first.
    assert (await refusal(client)).code == "rate_limited"
    await client.create(DEV, INPUT)
    inject(Faults(models={SCHNELL: ModelFaults(creates_per_minute=4)}))
    await client.create(SCHNELL, INPUT)
    assert (await refusal(client)).code == "rate_limited"


async def test_faults_outlive_a_restart_and_are_shared(faulty, client, connect, inject, folder):
    inject(failing("402"))
    other = Simulator(folder, speed=100, failure_rate=0)
    other.start()
    assert (await refusal(connect(other.token, other.base_url))).code == "no_credit"
    other.stop()
    faulty[0].stop()
    faulty[0].start()
    assert (await refusal(client)).code == "no_credit"


def test_what_is_in_force_is_read_as_it_was_written(folder):
    file = FaultFile(folder)
    faults = Faults(
        outage="cut",
        all_models=ModelFaults(slower=2.5, extra_seconds=3, failures={"429": 10}, retry_after=9),
        models={DEV: ModelFaults(creates_per_minute=7)},
        since=datetime.now(UTC),
        by="Ann <b>",
    )
    file.write(faults)
    assert (file.read(), file.exists()) == (faults, True)
    assert [path.name for path in folder.iterdir()] == ["faults.json"]
    file.write(Faults(since=datetime.now(UTC), by="Ann"))
    assert (file.read(), file.exists()) == (Faults(), False)
    file.write(Faults())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"since": 1}', "null", json.dumps({"outage": "odd"})]
)
def test_a_spoilt_file_is_said(folder, text):
    file = FaultFile(folder)
    file.write(Faults(outage="cut"))
    (folder / "faults.json").write_text(text)
    with pytest.raises(FaultsError, match="cannot be read"):
        file.read()
    file.write(Faults())
    assert file.read() == Faults()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"slower": 0.5}, "slower is 0.5: use 1 to 100"),
        ({"slower": float("nan")}, "slower is nan"),
        ({"extra_seconds": 601}, "use 0 to 600"),
        ({"failures": {"bad": 1}}, "Unknown failure bad"),
        ({"failures": {"500": 101}}, "use 0 to 100"),
        ({"failures": {"500": 60, "402": 41}}, "more than 100%"),
        ({"creates_per_minute": 0}, "use 1 to 600"),
        ({"retry_after": 0}, "use 1 to 3600"),
    ],
)
def test_faults_that_cannot_be(wrong, words):
    with pytest.raises(FaultsError, match=words):
        ModelFaults(**wrong)


def test_unknown_models_and_outages_cannot_be():
    with pytest.raises(FaultsError, match="no model a/b"):
        Faults(models={"a/b": ModelFaults()})
    with pytest.raises(FaultsError, match="Unknown outage odd"):
        Faults(outage="odd")


def test_every_fault_is_said_in_words():
    for kind in FAILURES:
        assert len(ModelFaults(failures={kind: 5}).summary) == 1
    for wrong in PRESETS.values():
        assert len(wrong.summary) == 1
    faults = with_model(Faults(outage="cut"), DEV, ModelFaults(slower=2))
    faults = with_model(faults, None, ModelFaults(extra_seconds=2))
    assert len(faults.summary) == 3
    assert with_model(faults, DEV, ModelFaults()).models == {}
    assert (
        Faults().summary == ModelFaults().summary == ModelFaults(failures={"500": 0}).summary == []
    )
