"""Odd payloads, errors and results: carried unchanged, or refused in words; the worker lives."""

import asyncio
import json
import math

import pytest

from lib.queue.worker_calls import JobFailed

# The last three code points of each plane: assigned or not, private use, non-characters.
PLANES = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFD, 0xFFFE, 0xFFFF))
ODD_TEXT = f"{PLANES} e\u0301 \u202egnp\u202c \U0001f469\u200d\U0001f467 \x01\x7f\x85 %s {{}} '\"\\"
GENERATION_IDS = [7, 1.5, True, None, [], {}, "", "no uuid", [[1]], {"a": 1}, "x" * 10_000]


def nested(depth):
    return f'{{"deep": {"[" * depth}{"]" * depth}}}'


PAYLOADS = {
    "empty": "{}",
    "empty within": '{"": "", "a": {}, "b": [], "c": null, "d": [{}, [[]]]}',
    "1 MB prompt": json.dumps({"prompt": "x" * 2**20}),
    "1 MB of odd text": json.dumps({"prompt": ODD_TEXT * (2**20 // len(ODD_TEXT.encode()))}),
    "odd text": json.dumps({"prompt": ODD_TEXT, ODD_TEXT: {ODD_TEXT: [ODD_TEXT]}}),
    "10 000 keys": json.dumps({f"key {number}": number for number in range(10_000)}),
    "deep": nested(800),
    "big numbers": f'{{"a": {2**63}, "b": -{10**300}, "c": {"9" * 4000}}}',
    "small numbers": '{"a": 5e-324, "b": -0.1, "c": 1e-300, "d": 0.30000000000000004}',
} | {
    f"generation_id {value!r:.20}": json.dumps({"generation_id": value}) for value in GENERATION_IDS
}


@pytest.fixture
def put(db):
    """Enqueues a job with a payload given as JSON text; returns its id."""

    def put(payload="{}", max_attempts=3):
        return db.execute(
            "select public.enqueue_job('test', %s::jsonb, p_max_attempts => %s) as id",
            (payload, max_attempts),
        ).fetchone()["id"]

    return put


async def test_payloads_reach_the_handler_unchanged(running, put, job, until):
    seen = {}

    async def keep(claim):
        seen[claim.job_id] = claim.payload
        return {}

    ids = {name: put(payload) for name, payload in PAYLOADS.items()}
    async with running(keep) as worker:
        await until(lambda: worker.processed == len(ids))
    for name, id in ids.items():
        expected = json.loads(PAYLOADS[name])
        assert seen[id] == expected, name
        found = job(id)
        assert (found["status"], found["attempts"]) == ("completed", 1), name
        assert found["payload"] == expected, name


@pytest.mark.parametrize("payload", [nested(3000), f'{{"number": {"9" * 5000}}}', '{"a": 1e9999}'])
async def test_a_payload_that_python_cannot_hold_fails_its_job_alone(
    db, running, put, until, payload
):
    async def read(claim):
        return dict.fromkeys(claim.payload, "read")

    id, other = put(payload), put('{"a": 1}')
    async with running(read):
        await until(lambda: status(db, other) == "completed")
        await until(lambda: status(db, id) == "failed")
        later = put()
        await until(lambda: status(db, later) == "completed")
    found = db.execute("select error_message from public.job_queue where id = %s", (id,)).fetchone()
    assert "payload cannot be read" in found["error_message"]


def status(db, id):
    return db.execute("select status from public.job_queue where id = %s", (id,)).fetchone()[
        "status"
    ]


async def test_odd_errors_are_stored_and_end_their_attempt(running, put, job, until):
    messages = {
        ODD_TEXT: ODD_TEXT,
        "x" * 2**20: "x" * 16_000,
        "": "",
        "nul \x00 within": "nul  within",
        "lone \ud800 \udfff": "lone ? ?",
    }
    codes = ["internal", ODD_TEXT]
    errors = {}

    async def fail(claim):
        raise errors[claim.job_id]

    for message in messages:
        for code in codes:
            errors[put()] = JobFailed(message, code=code, permanent=True)
    async with running(fail) as worker:
        await until(lambda: worker.errors == len(errors))
    for id, error in errors.items():
        found = job(id)
        expected = messages[str(error)]
        assert (found["status"], found["attempts"]) == ("failed", 1)
        assert found["error_message"] == expected
        assert found["error_details"]["code"] == error.code
        assert found["error_details"]["attempts"][0]["error"] == expected


@pytest.mark.parametrize("seconds", [-1, 0, 1e-9, 1e300, math.inf, -math.inf, math.nan])
async def test_an_odd_wait_that_a_provider_asks_for_delays_one_job_only(
    db, running, put, job, until, seconds
):
    first = put()

    async def fail(claim):
        if claim.job_id == first:
            raise JobFailed("busy", code="rate_limited", retry_after=seconds)
        return {}

    async with running(fail):
        await until(lambda: job(first)["error_message"])
        later = put()
        await until(lambda: job(later)["status"] == "completed")
    found = job(first)
    assert found["status"] in ("pending", "failed")
    assert db.execute("select from public.job_leases").fetchone() is None


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [
        ValueError(ODD_TEXT),
        ValueError("\ud800\x00"),
        RecursionError(),
        MemoryError(),
        Unspeakable(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_handler_raises_costs_an_attempt_only(running, put, job, until, error):
    first = put(max_attempts=1)

    async def fail(claim):
        if claim.job_id == first:
            raise error
        return {}

    async with running(fail):
        await until(lambda: job(first)["status"] == "failed")
        later = put()
        await until(lambda: job(later)["status"] == "completed")
    assert job(first)["error_message"] == f"Unexpected error: {type(error).__name__}"


async def test_a_handler_that_ends_as_cancelled_does_not_keep_its_job(running, put, job, until):
    async def cancelled(_claim):
        raise asyncio.CancelledError

    ids = [put(max_attempts=1) for _ in range(5)]
    async with running(cancelled, concurrency=2):
        await until(lambda: all(job(id)["status"] == "failed" for id in ids))
    assert job(ids[0])["error_message"] == "Unexpected error: CancelledError"


@pytest.fixture
def put_generation(db, put):
    """Enqueues a job for a generation that exists; returns the ids of both."""

    def put_one():
        row = db.execute(
            "insert into public.image_generations (prompt, model_id) values ('p', 'm') returning id"
        ).fetchone()
        return put(json.dumps({"generation_id": str(row["id"])})), row["id"]

    return put_one


def generation(db, id):
    return db.execute(
        "select status, image_url, error_message from public.image_generations where id = %s", (id,)
    ).fetchone()


async def test_odd_results_are_stored(db, running, put_generation, job, until):
    urls = [ODD_TEXT, "x" * 2**20, "", "javascript:alert(1)", "'; drop table job_queue; --"]
    results = {}

    async def succeed(claim):
        return results[claim.job_id]

    made = {url: put_generation() for url in urls}
    for url, (job_id, _) in made.items():
        results[job_id] = {"image_url": url, "more": {"odd": [ODD_TEXT, 10**300, None]}}
    async with running(succeed) as worker:
        await until(lambda: worker.processed == len(urls))
    for url, (job_id, generation_id) in made.items():
        assert job(job_id)["status"] == "completed"
        assert generation(db, generation_id) == {
            "status": "completed",
            "image_url": url,
            "error_message": None,
        }


deep = []
for _ in range(5000):
    deep = [deep]


@pytest.mark.parametrize(
    "odd",
    ["\x00", "\ud800", math.nan, math.inf, object(), b"bytes", {1, 2}, deep],
    ids=["nul", "surrogate", "nan", "inf", "object", "bytes", "set", "deep"],
)
async def test_a_result_that_cannot_be_stored_fails_its_job_alone(
    db, running, put, put_generation, job, until, odd
):
    first, generation_id = put_generation()
    beside = put()

    async def succeed(claim):
        return {"image_url": "u", "odd": odd} if claim.job_id == first else {}

    async with running(succeed):
        await until(lambda: job(first)["status"] == "failed")
        await until(lambda: job(beside)["status"] == "completed")
        later = put()
        await until(lambda: job(later)["status"] == "completed")
    assert "result cannot be stored" in job(first)["error_message"]
    found = generation(db, generation_id)
    assert (found["status"], found["image_url"]) == ("failed", None)
