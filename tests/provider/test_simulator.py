"""The simulator, where a client could tell it from Replicate."""

import math
import re
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from lib.provider.prediction import parse_prediction
from lib.provider.simulator.models import MODELS, SHIPPED
from lib.provider.simulator.predictions import (
    CREATES_PER_MINUTE,
    DATA_SECONDS,
    RETENTION_SECONDS,
    Predictions,
    Record,
    new_id,
)
from lib.provider.simulator.responses import describe
from lib.provider.simulator.schedule import draw_schedule
from lib.provider.simulator.server import Simulator

SCHNELL = "black-forest-labs/flux-schnell"
DEV = MODELS["black-forest-labs/flux-dev"]

RECORD = Record(
    id="p1",
    model=DEV.id,
    input={"prompt": "a fox"},
    created_at=1000.0,
    started_at=1001.0,
    finished_at=1011.0,
    deadline_at=2800.0,
    canceled_at=None,
    error=None,
)


@pytest.fixture
def http(simulator):
    headers = {"authorization": f"Bearer {simulator.token}"}
    with httpx.Client(
        base_url=simulator.base_url, headers=headers, timeout=10, verify=False
    ) as client:
        yield client


def create(http: httpx.Client, prompt: str, **headers: str) -> httpx.Response:
    body = {"input": {"prompt": prompt, "megapixels": "0.25"}}
    return http.post(f"/v1/models/{SCHNELL}/predictions", json=body, headers=headers)


def test_the_shipped_models_are_those_of_the_models_table(db):
    rows = db.execute("select id, version, input_schema from public.models").fetchall()
    assert len(rows) >= 20
    assert {row["id"]: (row["version"], row["input_schema"]) for row in rows} == {
        model.id: (model.version, model.inputs) for model in SHIPPED.values()
    }


def test_a_created_prediction_is_described_in_full(http, simulator):
    answer = create(http, "a fox [hang]")
    prediction = answer.json()
    assert answer.status_code == 201
    url = f"{simulator.base_url}/v1/predictions/{prediction['id']}"
    assert (prediction["urls"]["get"], prediction["urls"]["cancel"]) == (url, f"{url}/cancel")
    assert prediction["input"]["prompt"] == "a fox [hang]"
    assert prediction["output"] is prediction["error"] is prediction["completed_at"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", prediction["created_at"])


def test_an_answer_can_be_held_until_the_prediction_is_complete(http):
    answer = create(http, "a fox", prefer="wait")
    prediction = answer.json()
    assert (answer.status_code, prediction["status"]) == (201, "succeeded")
    assert prediction["created_at"] <= prediction["started_at"] <= prediction["completed_at"]
    assert 0 < prediction["metrics"]["predict_time"] < prediction["metrics"]["total_time"]


def test_a_held_answer_comes_incomplete_in_the_end(http):
    answer = create(http, "[hang]", prefer="wait=1")
    assert (answer.status_code, answer.json()["status"]) == (202, "processing")


def test_a_deadline_is_kept(http):
    answer = create(http, "[hang]", prefer="wait=30", **{"cancel-after": "1s"})
    assert (answer.status_code, answer.json()["status"]) == (201, "canceled")
    refusal = create(http, "[hang]", **{"cancel-after": "later"})
    assert refusal.status_code == 422
    assert "Cancel-After" in refusal.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({}, {1000: "starting", 1001: "processing", 1010: "processing", 1011: "succeeded"}),
        ({"error": "no"}, {1010: "processing", 1011: "failed"}),
        ({"deadline_at": 1005.0}, {1004: "processing", 1005: "canceled", 1011: "canceled"}),
        ({"deadline_at": 1000.5}, {1000: "starting", 1001: "aborted", 1011: "aborted"}),
        ({"canceled_at": 1000.5}, {1001: "canceled"}),
        ({"canceled_at": 1004.0, "error": "no"}, {1003: "processing", 1011: "canceled"}),
        ({"finished_at": math.inf}, {1011: "processing", 2799: "processing", 2800: "canceled"}),
    ],
)
def test_the_state_follows_from_the_clock(changes, states):
    record = replace(RECORD, **changes)
    assert {moment: record.status(moment) for moment in states} == states


def test_progress_grows_with_time():
    described = [describe(RECORD, moment, "http://a") for moment in (1000, 1001, 1004, 1008, 1011)]
    seen = [parse_prediction(httpx.Response(200, json=each).content).progress for each in described]
    assert seen == [None, 0, 28, 67, 100]
    assert described[-1]["logs"].endswith("100%|██████████| 28/28 [00:10<00:00, 2.80it/s]\n")


def test_a_schedule_depends_on_the_prediction_alone():
    drawn = draw_schedule(DEV, "p1", "a fox", speed=1, failure_rate=0)
    assert draw_schedule(DEV, "p1", "a fox", speed=1, failure_rate=0) == drawn
    assert draw_schedule(DEV, "p2", "a fox", speed=1, failure_rate=0) != drawn
    fast = draw_schedule(DEV, "p1", "a fox", speed=10, failure_rate=0)
    assert (fast.starts, fast.ends) == (drawn.starts / 10, drawn.ends / 10)
    slow = draw_schedule(DEV, "p1", "a fox [slow]", speed=1, failure_rate=0)
    assert slow.ends - slow.starts == pytest.approx(10 * (drawn.ends - drawn.starts))


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_times_and_failures_are_spread_as_told(model):
    drawn = [draw_schedule(model, f"p{i}", "", speed=1, failure_rate=0.2) for i in range(2000)]
    runs = sorted(each.ends - each.starts for each in drawn)
    assert runs[1000] == pytest.approx(model.median_seconds, rel=0.05)
    assert math.log(runs[1682] / runs[1000]) == pytest.approx(model.spread, rel=0.15)
    assert sum(each.error is not None for each in drawn) == pytest.approx(400, rel=0.2)
    cold = sum(each.starts > 20 for each in drawn)
    assert cold == pytest.approx(2000 * model.cold_start_share, rel=0.4)


def test_an_image_needs_a_succeeded_prediction_but_no_token(http, simulator):
    done, hanging = create(http, "a fox", prefer="wait").json(), create(http, "[hang]").json()
    image = httpx.get(done["output"][0], verify=False)
    assert (image.status_code, image.headers["content-type"]) == (200, "image/webp")
    for prediction_id in (hanging["id"], "unknown"):
        url = f"{simulator.base_url}/files/{prediction_id}/out-0.webp"
        assert httpx.get(url, verify=False).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/models/invalid-model-id/predictions", 404),
        ("POST", "/v1/models/nobody/nothing/predictions", 404),
        ("GET", "/v1/predictions/unknown", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/predictions/unknown", 405),
        ("POST", f"/v1/models/{SCHNELL}/predictions", 400),
    ],
)
def test_errors_are_problem_documents(http, method, path, status):
    answer = http.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"]
    assert answer.json()["detail"]


@pytest.mark.parametrize("shown", [{}, {"authorization": "Bearer x"}, {"authorization": "Bearer"}])
def test_the_api_demands_its_token(simulator, shown):
    for path in ("/v1/predictions/unknown", "/v1/nothing"):
        answer = httpx.get(simulator.base_url + path, headers=shown, verify=False)
        assert answer.status_code == answer.json()["status"] == 401


def test_other_names_than_loopback_are_refused(http):
    assert http.get("/v1/predictions/unknown", headers={"host": "evil.test"}).status_code == 400


async def test_simulators_share_a_folder_at_once_and_one_after_the_other(folder, connect):
    first = Simulator(folder, speed=100, failure_rate=0)
    second = Simulator(folder, speed=100, failure_rate=0)
    first.start()
    second.start()
    assert first.token == second.token
    here, there = (connect(each.token, each.base_url) for each in (first, second))
    prediction = await here.create(SCHNELL, {"prompt": "a fox", "width": 64, "height": 64})
    await there.get(prediction.id)
    first.stop()
    # It may have been quick enough to be finished in the first answer.
    states = [state async for state in there.follow(prediction, deadline=30)]
    prediction = states[-1] if states else await there.get(prediction.id)
    assert prediction.output[0].startswith(f"{second.base_url}/files/")
    image = await there.download(prediction.output[0])
    second.stop()
    third = Simulator(folder, speed=1, failure_rate=1)
    third.start()
    later = connect(third.token, third.base_url)
    assert (await later.get(prediction.id)).status == "succeeded"
    url = prediction.output[0].replace(second.base_url, third.base_url)
    assert await later.download(url) == image
    third.stop()


def test_simulators_that_start_together_agree(folder):
    def started(_: int) -> Simulator:
        simulator = Simulator(folder, speed=1, failure_rate=0)
        simulator.start()
        return simulator

    with ThreadPoolExecutor(4) as threads:
        simulators = list(threads.map(started, range(4)))
    assert len({each.token for each in simulators}) == 1
    assert len({each.base_url for each in simulators}) == 4
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    for each in simulators:
        each.stop()


def test_a_taken_port_is_an_error(simulator, folder):
    port = int(simulator.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Simulator(folder, speed=1, failure_rate=0, port=port).start()


def test_a_stopped_simulator_starts_again_at_its_address(folder):
    simulator = Simulator(folder, speed=1, failure_rate=0)
    simulator.start()
    address = simulator.base_url
    simulator.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, verify=False)
    simulator.start()
    assert simulator.base_url == address
    assert httpx.get(address, verify=False).status_code == 404
    simulator.stop()


def test_creates_are_limited_a_minute(folder):
    simulator = Simulator(folder, speed=1, failure_rate=0)
    simulator.start()
    predictions, now = Predictions(folder), time.time()
    for _ in range(CREATES_PER_MINUTE):
        predictions.add(replace(RECORD, id=new_id(), created_at=now))
    headers = {"authorization": f"Bearer {simulator.token}"}
    with httpx.Client(base_url=simulator.base_url, headers=headers, verify=False) as http:
        answer = create(http, "one too many")
        assert answer.status_code == 429
        wait = int(answer.headers["retry-after"])
        assert 0 < wait <= 60
        assert f"resets in ~{wait}s" in answer.json()["detail"]
    simulator.stop()
    predictions.add(replace(RECORD, id=new_id(), created_at=now + 60))


def test_old_predictions_are_removed(tmp_path):
    predictions = Predictions(tmp_path)
    predictions.add(RECORD)
    predictions.add(replace(RECORD, id="p2", created_at=1000 + RETENTION_SECONDS))
    assert predictions.get("p1") == RECORD
    predictions.add(replace(RECORD, id="p3", created_at=1001 + RETENTION_SECONDS))
    assert predictions.get("p1") is None
    assert predictions.get("p2") is not None


def listed(http: httpx.Client, **query: str) -> httpx.Response:
    return http.get("/v1/predictions", params=query)


def test_the_newest_predictions_are_listed_with_their_inputs(http):
    first, second = (create(http, f"listed {n} [hang]").json() for n in range(2))
    page = listed(http, created_after=first["created_at"]).json()
    assert page["previous"] is None
    ours = [p for p in page["results"] if p["id"] in (first["id"], second["id"])]
    assert [p["input"]["prompt"] for p in ours] == ["listed 1 [hang]", "listed 0 [hang]"]
    alone = http.get(f"/v1/predictions/{first['id']}").json()
    # It may have begun to run in between.
    passing = {"status", "started_at"}
    assert {k: v for k, v in ours[1].items() if k not in passing} == {
        k: alone[k] for k in ours[1] if k not in passing
    }
    assert "logs" not in ours[0]


def test_a_list_has_pages_and_limits_in_time(folder):
    simulator = Simulator(folder, speed=1, failure_rate=0)
    simulator.start()
    predictions, now = Predictions(folder), math.floor(time.time())
    for number in range(250):
        # Some at the same moment: the cursor must not lose or repeat one.
        created = now - 30 + number // 7
        predictions.add(replace(RECORD, id=f"p{number:03}", created_at=created))
    headers = {"authorization": f"Bearer {simulator.token}"}
    with httpx.Client(base_url=simulator.base_url, headers=headers, verify=False) as http:
        pages = [listed(http).json()]
        while url := pages[-1]["next"]:
            pages.append(http.get(url).json())
        assert [len(page["results"]) for page in pages] == [100, 100, 50]
        ids = [prediction["id"] for page in pages for prediction in page["results"]]
        assert ids == [f"p{number:03}" for number in reversed(range(250))]
        after = datetime.fromtimestamp(now - 30 + 3, UTC).isoformat()
        before = datetime.fromtimestamp(now - 30 + 5, UTC).isoformat()
        some = listed(http, created_after=after, created_before=before).json()["results"]
        assert [p["id"] for p in some] == [f"p{number:03}" for number in range(34, 20, -1)]
        for query in ({"created_after": "today"}, {"cursor": "?"}, {"cursor": "eA=="}):
            assert listed(http, **query).status_code in (404, 422)
    simulator.stop()


def test_data_is_removed_after_an_hour(folder):
    simulator = Simulator(folder, speed=1, failure_rate=0)
    simulator.start()
    predictions, now = Predictions(folder), time.time()
    for name, age in (("new", DATA_SECONDS - 60), ("old", DATA_SECONDS + 60)):
        created = now - age
        predictions.add(replace(RECORD, id=name, created_at=created, deadline_at=now))
    headers = {"authorization": f"Bearer {simulator.token}"}
    with httpx.Client(base_url=simulator.base_url, headers=headers, verify=False) as http:
        new, old = listed(http).json()["results"]
        assert (new["input"], new["data_removed"]) == ({"prompt": "a fox"}, False)
        assert (old["input"], old["output"], old["data_removed"]) == ({}, None, True)
        assert old["status"] == "succeeded"
        assert http.get("/files/new/out-0.webp").status_code == 200
        assert http.get("/files/old/out-0.webp").status_code == 404
    simulator.stop()
