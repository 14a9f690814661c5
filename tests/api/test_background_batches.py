"""process-jobs answers in time, and goes on with jobs that take longer."""

import asyncio

import pytest

from lib.api import routes

GENERATION = {"prompt": "A lighthouse", "model_id": "black-forest-labs/flux-schnell", "test": True}
ENDLESS = GENERATION | {"prompt": "Never ends [hang]"}
HELD = """
select q.status, l.heartbeat_at, w.kind, w.stopped_at
from public.job_queue q
left join public.job_leases l on l.job_id = q.id
left join public.workers w on w.id = l.worker_id
where q.id = %s
"""


@pytest.fixture
def more_settings():
    return {"DARKROOM_HEARTBEAT_SECONDS": "1"}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(routes, "ANSWER_SECONDS", 0.7)


def test_pg_net_waits_by_default_longer_than_an_answer_takes():
    assert routes.ANSWER_SECONDS < 5


def test_jobs_that_take_longer_go_on_with_their_heartbeats(call, db, eventually):
    endless = call("start-generation", ENDLESS).json()["job_id"]
    db.execute("select enqueue_job('generate-image', '{}')")
    assert call("process-jobs").json() == {
        "success": True,
        "processed": 1,
        "errors": 1,
        "running": 1,
        "message": "Jobs processed: 1, errors: 1, 1 still running",
    }
    held = db.execute(HELD, [endless]).fetchone()
    assert (held["status"], held["kind"], held["stopped_at"]) == (
        "processing",
        "process-jobs",
        None,
    )
    first = held["heartbeat_at"]
    eventually(lambda: db.execute(HELD, [endless]).fetchone()["heartbeat_at"] > first)
    # The next call takes the next jobs, and leaves that one alone.
    db.execute("select enqueue_job('generate-image', '{}')")
    next_answer = call("process-jobs").json()
    assert (next_answer["processed"], next_answer["running"]) == (1, 1)


def test_calls_together_run_no_more_jobs_than_one_may(call, db, monkeypatch):
    monkeypatch.setattr(routes, "ANSWER_SECONDS", 0.5)
    for _ in range(7):
        call("start-generation", ENDLESS)
    most = call("process-jobs").json()["running"]
    assert most < 7
    full = call("process-jobs").json()
    assert (full["processed"], full["running"]) == (0, most)
    [row] = db.execute("select count(*) as n from job_queue where status = 'processing'")
    assert row == {"n": most}


def test_a_job_that_goes_on_is_completed_and_its_worker_ends(call, db, monkeypatch, eventually):
    monkeypatch.setattr(routes, "ANSWER_SECONDS", 0.0)
    call("start-generation", GENERATION)
    assert call("process-jobs").json()["processed"] == 0
    eventually(lambda: db.execute("select 1 from job_queue where status = 'completed'").fetchone())
    eventually(lambda: db.execute("select 1 from workers where stopped_at is not null").fetchone())


def test_a_shutdown_gives_the_jobs_back(served, call, db, eventually, monkeypatch):
    endless = call("start-generation", ENDLESS).json()["job_id"]
    assert call("process-jobs").json()["running"] == 1
    served.stop()
    job = db.execute("select status, attempts, max_attempts from job_queue").fetchone()
    assert job == {"status": "pending", "attempts": 1, "max_attempts": 4}
    assert db.execute(HELD, [endless]).fetchone()["heartbeat_at"] is None


def test_an_error_after_the_answer_is_in_the_log(call, caplog, monkeypatch, eventually):
    monkeypatch.setattr(routes, "ANSWER_SECONDS", 0.0)

    async def fail(_worker):
        await asyncio.sleep(0.1)
        raise RuntimeError("No such luck")

    monkeypatch.setattr("lib.worker.worker.Worker.run_batch", fail)
    assert call("process-jobs").status_code == 200
    eventually(lambda: "A batch of process-jobs failed: No such luck" in caplog.text)
