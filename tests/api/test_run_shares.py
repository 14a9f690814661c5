"""start-generation adds to a test run, for the secret key alone."""

import uuid

from lib.database import load

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell"}


def test_a_request_adds_jobs_to_a_run_once(call, served, db):
    run = uuid.uuid4()
    load("test_runs").start_run(
        db, id=run, actor="me", prompt="p", models=["m"], settings="{}", jobs=4
    )
    asked = GENERATION | {"test": True, "test_run": {"id": str(run), "jobs": 4, "per_second": 2}}
    headers = {"apikey": served.keys.secret, "Idempotency-Key": "once"}
    first, again = (call("start-generation", asked, headers=headers).json() for _ in range(2))
    assert first == again
    assert set(first) == {
        *("success", "generation_id", "job_id", "status", "notices", "size"),
        *("application", "metadata"),
    }
    rows = load("generate").jobs(db, run=run)
    assert [row["place"] for row in rows] == [1, 2, 3, 4]
    assert str(rows[0]["job_id"]) == first["job_id"]
    assert rows[0]["parameters"] == {}


def test_only_a_test_of_the_secret_key_belongs_to_a_run(call, served, db):
    share = {"test_run": {"id": str(uuid.uuid4())}}
    anon = call("start-generation", GENERATION | share, headers={"apikey": served.keys.publishable})
    assert anon.status_code == 403
    for wrong in (
        share,
        {"test": True, "test_run": {"id": "x"}},
        {"test": True, "test_run": share["test_run"] | {"jobs": 501}},
        {"test": True, "test_run": share["test_run"] | {"per_second": 0}},
        {"test": True, "test_run": share["test_run"] | {"more": 1}},
    ):
        answer = call("start-generation", GENERATION | wrong)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "test_run")
    answer = call("start-generation", GENERATION | {"test": True} | share)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "refused")
    assert db.execute("select from public.job_queue").fetchone() is None
