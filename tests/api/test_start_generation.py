"""start-generation: what it queues, what it refuses, and how it says so."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lib.client import StartRefused, start_image_generation
from supabase import create_client

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}


def test_queues_a_generation_and_its_job(call, served, db):
    asked = GENERATION | {"width": 512, "height": 768, "seed": 7, "output_format": "png"}
    answer = call("start-generation", asked, headers={"apikey": served.keys.publishable})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        *("success", "generation_id", "job_id", "status", "notices", "size"),
        *("application", "metadata"),
    }
    assert (body["success"], body["status"]) == (True, "queued")
    generation = db.execute(
        "select * from public.image_generations where id = %s", (body["generation_id"],)
    ).fetchone()
    assert (generation["prompt"], generation["status"]) == ("A lighthouse", "queued")
    fitted = {"aspect_ratio": "2:3", "megapixels": "0.25"}
    assert generation["parameters"] == fitted | {"seed": 7, "output_format": "png"}
    assert (
        body["size"]
        == generation["size"]
        == {
            "requested": {"width": 512, "height": 768},
            "sent": fitted,
            "expected": {"width": 416, "height": 608, "exact": False},
        }
    )
    assert body["notices"] == generation["notices"]
    job = db.execute("select * from public.job_queue where id = %s", (body["job_id"],)).fetchone()
    assert (job["status"], job["job_type"]) == ("pending", "generate-image")
    assert job["payload"]["generation_id"] == body["generation_id"]


WRONG_FIELDS = [
    ("prompt", ""),
    ("prompt", "   "),
    ("prompt", 7),
    ("prompt", "x" * 10_001),
    ("prompt", "nul \x00"),
    ("prompt", None),
    ("model_id", ""),
    ("model_id", ["a"]),
    ("width", 63),
    ("width", 8193),
    ("width", "512"),
    ("height", 512.5),
    ("seed", -1),
    ("user_id", "nobody"),
    ("steps", {"nested": 1}),
    ("user_id", str(uuid.uuid4())),
]


def test_names_the_field_that_is_wrong_and_queues_nothing(call, db, subtests):
    for field, value in WRONG_FIELDS:
        with subtests.test(field=field, value=str(value)[:20]):
            answer = call("start-generation", GENERATION | {field: value})
            assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert db.execute("select from public.job_queue").fetchone() is None
    assert db.execute("select from public.image_generations").fetchone() is None


def test_names_the_field_that_is_missing(call):
    for missing, given in (("prompt", "model_id"), ("model_id", "prompt")):
        answer = call("start-generation", {given: GENERATION[given]})
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, missing)


def test_a_body_that_is_no_json_object_is_malformed(call, subtests):
    for raw in (b"", b"{", b"[]", b'"text"', b"\xff", b'{"prompt": NaN}', b"[" * 100_000):
        with subtests.test(raw=raw[:20]):
            answer = call("start-generation", content=raw)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed")


def test_a_lone_surrogate_is_an_invalid_field(call):
    raw = json.dumps(GENERATION | {"prompt": "\ud800"}).encode()
    answer = call("start-generation", content=raw)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "prompt")


def test_a_huge_body_is_refused(call):
    answer = call("start-generation", GENERATION | {"extra": "x" * 1_100_000})
    assert answer.status_code == 413


def test_an_unknown_or_disabled_model_is_not_found(call, db):
    db.execute("update public.models set enabled = false where id = 'google/imagen-4'")
    for model in ("nobody/nothing", "google/imagen-4"):
        answer = call("start-generation", GENERATION | {"model_id": model})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert model in answer.json()["error"]["message"]


def test_over_the_limit_says_which_and_when_to_come_back(call, db):
    user = db.execute(
        "insert into auth.users (id) values (gen_random_uuid()) returning id"
    ).fetchone()["id"]
    db.execute("insert into public.user_limits (user_id, hourly_limit) values (%s, 2)", (user,))
    asked = GENERATION | {"user_id": str(user)}
    assert [call("start-generation", asked).status_code for _ in range(3)] == [200, 200, 429]
    answer = call("start-generation", asked)
    limits = answer.json()["error"]["limits"]
    assert (limits["hourly_limit"], limits["hourly_used"]) == (2, 2)
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600


def test_tests_of_operators_count_for_no_limit(call, db):
    asked = GENERATION | {"test": True}
    assert {call("start-generation", asked).status_code for _ in range(25)} == {200}
    used = db.execute("select public.get_user_limits(null) ->> 'hourly_used' as used").fetchone()
    assert used["used"] == "0"


def test_a_repeated_request_gets_the_first_answer(call, served, db):
    headers = {"apikey": served.keys.secret, "Idempotency-Key": "order 1"}
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda _: call("start-generation", GENERATION, headers=headers).json(), range(8)
            )
        )
    assert all(answer == answers[0] for answer in answers)
    assert db.execute("select count(*) from public.job_queue").fetchone()["count"] == 1


def test_an_idempotency_key_of_another_request_is_a_conflict(call, served):
    headers = {"apikey": served.keys.secret, "Idempotency-Key": "order 1"}
    call("start-generation", GENERATION, headers=headers)
    answer = call("start-generation", GENERATION | {"prompt": "Another"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "duplicate")


def test_unknown_functions_and_methods_are_not_found_as_json(call, served):
    assert call("nothing").json()["error"]["code"] == "no_such_function"
    assert call("nothing").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        "apikey,authorization,content-type,idempotency-key,x-client-info",
        "apikey,content-type,x-region",
        "apikey,baggage,content-type,sentry-trace,traceparent,tracestate",
    ],
)
def test_browsers_may_call_from_other_origins_with_any_header(call, served, headers):
    origin = {"Origin": "https://app.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers}
    url = f"{served.url}/functions/v1/start-generation"
    preflight = httpx.options(url, headers=origin | asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == headers
    # A browser never adds a cookie or password of its own.
    assert "access-control-allow-credentials" not in preflight.headers
    answer = call("start-generation", GENERATION, headers=origin | {"apikey": served.keys.secret})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_supabase_py_invokes_it_unchanged(served, db):
    client = create_client(served.url, served.keys.publishable)
    answer = client.functions.invoke(
        "start-generation", {"body": GENERATION, "responseType": "json"}
    )
    assert answer["success"] is True
    found = db.execute("select status from public.job_queue where id = %s", (answer["job_id"],))
    assert found.fetchone()["status"] == "pending"


def test_the_client_starts_a_generation_and_says_why_it_cannot(served, db):
    start = {"prompt": "A lighthouse", "idempotency_key": "1", "test": True}
    started = start_image_generation(
        served.url, served.keys.secret, model_id="google/imagen-4", width=512, **start
    )
    row = db.execute(
        "select source, parameters from public.image_generations where id = %s",
        (started.generation_id,),
    ).fetchone()
    assert row["source"] == "test"
    assert row["parameters"] == started.size["sent"] == {"aspect_ratio": "9:16", "image_size": "1K"}
    assert started.size["expected"] == {"width": 768, "height": 1408, "exact": True}
    assert "768 x 1408" in started.notices[0]
    with pytest.raises(StartRefused, match="nobody/nothing") as refusal:
        start_image_generation(
            served.url,
            served.keys.secret,
            model_id="nobody/nothing",
            **start | {"idempotency_key": "2"},
        )
    assert refusal.value.code == "model_not_found"
    with pytest.raises(StartRefused, match="does not respond"):
        start_image_generation("http://127.0.0.1:9", "key", model_id="google/imagen-4", **start)
