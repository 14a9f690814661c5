"""The queue's SQL functions, called as psql would call them."""

import json
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

Db = psycopg.Connection[DictRow]
WORKER = "00000000-0000-0000-0000-000000000001"
OTHER = "00000000-0000-0000-0000-000000000002"


def one(db: Db, sql: str, *args: Any) -> Any:
    row = db.execute(sql, args).fetchone()
    assert row is not None
    return next(iter(row.values())) if len(row) == 1 else row


def enqueue(db: Db, **payload: Any) -> Any:
    return one(
        db, "select enqueue_job('generate-image', %s)", json.dumps({"prompt": "p"} | payload)
    )


def claim(db: Db, worker: str = WORKER) -> Any:
    return one(db, "select * from claim_jobs(1, null, %s)", worker)


def make_silent(db: Db, job_id: Any) -> None:
    db.execute(
        "update job_queue set started_at = now() - interval '1 hour' where id = %s", [job_id]
    )
    db.execute(
        "update job_leases set heartbeat_at = now() - interval '11 min' where job_id = %s", [job_id]
    )


def status(db: Db, job_id: Any) -> str:
    return str(one(db, "select status from job_queue where id = %s", job_id))


def test_enqueue_takes_three_or_five_arguments(db: Db) -> None:
    five = one(
        db,
        "select enqueue_job('generate-image'::text,"
        ' \'{"test": true, "prompt": "Test prompt"}\'::jsonb, 0, NOW(), 3)',
    )
    three = one(db, "select enqueue_job('generate-image', '{}', 0)")
    assert {five, three} == {r["id"] for r in db.execute("select id from job_queue")}


@pytest.mark.parametrize(
    "call",
    ["enqueue_job('', '{}')", "enqueue_job('x', '[]')", "enqueue_job('x', '{}', 0, now(), 0)"],
)
def test_enqueue_refuses_bad_arguments(db: Db, call: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        db.execute(f"select {call}")
    assert one(db, "select count(*) from job_queue") == 0


def test_second_live_job_of_a_generation_is_refused(db: Db) -> None:
    generation = "11111111-1111-1111-1111-111111111111"
    job_id = enqueue(db, generation_id=generation)
    with pytest.raises(psycopg.Error, match="already has a job"):
        enqueue(db, generation_id=generation)
    claim(db)
    db.execute("select complete_job(%s)", [job_id])
    assert enqueue(db, generation_id=generation) != job_id


def test_claims_highest_priority_then_longest_due_and_never_the_future(db: Db) -> None:
    for name, priority, due in [
        ("late", 0, "-1 min"),
        ("early", 0, "-2 min"),
        ("urgent", 5, "-1 s"),
        ("future", 9, "1 hour"),
    ]:
        db.execute("select enqueue_job(%s, '{}', %s, now() + %s::interval)", [name, priority, due])
    rows = db.execute("select job_type from claim_jobs(10)").fetchall()
    assert [r["job_type"] for r in rows] == ["urgent", "early", "late"]


def test_late_writer_changes_nothing(db: Db) -> None:
    job_id = enqueue(db)
    claim(db)
    make_silent(db, job_id)
    assert len(db.execute("select * from reset_stuck_jobs('operator')").fetchall()) == 1
    assert claim(db, OTHER)["attempts"] == 2
    db.execute("select * from begin_generation(%s, 2)", [job_id])

    assert one(db, "select complete_job(%s, true, null, null, 1)", job_id) == "lost"
    assert one(db, "select record_progress(%s, 1, 99)", job_id) is False
    assert (
        one(
            db, "select job_id from heartbeat_jobs(%s, array[%s]::uuid[], array[1])", WORKER, job_id
        )
        == job_id
    )
    assert status(db, job_id) == "processing"
    assert one(db, "select complete_job(%s, true, null, null, 2)", job_id) == "completed"


def test_failure_retries_with_backoff_and_keeps_every_error(db: Db) -> None:
    job_id = enqueue(db)
    outcomes = []
    for attempt in (1, 2, 3):
        db.execute("update job_queue set scheduled_at = now()")
        claim(db)
        outcomes.append(one(db, "select complete_job(%s, false, %s)", job_id, f"error {attempt}"))
        if attempt < 3:
            wait = one(db, "select scheduled_at - now() from job_queue").total_seconds()
            assert 9 * 2 ** (attempt - 1) < wait <= 12.5 * 2 ** (attempt - 1)
    assert outcomes == ["pending", "pending", "failed"]
    errors = one(db, "select error_details -> 'attempts' from failed_jobs_recent")
    assert [e["error"] for e in errors] == ["error 1", "error 2", "error 3"]


def test_permanent_failure_is_tried_once_and_closes_the_generation(db: Db) -> None:
    job_id = enqueue(db)
    claim(db)
    db.execute("select * from begin_generation(%s, 1)", [job_id])
    details = json.dumps({"permanent": True})
    assert (
        one(db, "select complete_job(%s, false, 'no such model', %s)", job_id, details) == "failed"
    )
    assert one(db, "select status, error_message from image_generations") == {
        "status": "failed",
        "error_message": "no such model",
    }


def test_heartbeat_keeps_a_slow_job_out_of_stuck_jobs(db: Db) -> None:
    job_id = enqueue(db)
    claim(db)
    make_silent(db, job_id)
    assert one(db, "select id from stuck_jobs") == job_id
    assert not db.execute(
        "select heartbeat_jobs(%s, array[%s]::uuid[], array[1])", [WORKER, job_id]
    ).fetchall()
    assert one(db, "select count(*) from stuck_jobs") == 0
    assert not db.execute(
        "select * from reset_stuck_jobs('operator', array[%s]::uuid[])", [job_id]
    ).fetchall()
    assert one(db, "select affected from audit_log") == 0


def test_release_keeps_the_try_and_rescue_counts_it(db: Db) -> None:
    job_id = one(db, "select enqueue_job('generate-image', '{}', 0, now(), 1)")
    claim(db)
    assert one(db, "select release_jobs(%s, array[%s]::uuid[], array[1])", WORKER, job_id) == job_id
    assert status(db, job_id) == "pending"
    claim(db)
    assert one(db, "select rescue_worker_jobs(%s)", WORKER) == job_id
    assert status(db, job_id) == "failed"


def test_limit_of_twenty_an_hour(db: Db) -> None:
    start = "select start_generation(null, 'p', 'black-forest-labs/flux-schnell')"
    for _ in range(20):
        db.execute(start)
    with pytest.raises(psycopg.Error) as refused:
        db.execute(start)
    assert refused.value.sqlstate == "DR429"
    assert json.loads(refused.value.diag.message_detail or "{}")["hourly_used"] == 20
    assert one(db, "select get_user_limits(null)")["can_generate"] is False
    assert one(db, "select count(*) from job_queue") == 20


def test_idempotency_key_gives_the_first_answer(db: Db) -> None:
    start = (
        "select start_generation(null, %s, 'black-forest-labs/flux-schnell', '{}', 'app', 'key')"
    )
    assert one(db, start, "p") == one(db, start, "p")
    with pytest.raises(psycopg.Error, match="different request"):
        db.execute(start, ["q"])
    assert one(db, "select count(*) from job_queue") == 1


def test_user_sees_only_own_jobs_and_may_not_enqueue(db: Db) -> None:
    db.execute("select enqueue_job('x', '{}', 0, now(), 3, %s)", [WORKER])
    db.execute("select enqueue_job('x', '{}', 0, now(), 3, %s)", [OTHER])
    db.execute("select set_config('request.jwt.claims', %s, false)", [json.dumps({"sub": WORKER})])
    db.execute("set role authenticated")
    assert [str(r["created_by"]) for r in db.execute("select created_by from job_queue")] == [
        WORKER
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("select enqueue_job('x', '{}')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("select get_user_limits(%s)", [OTHER])


def test_contract_is_visible_in_the_catalogue(db: Db) -> None:
    assert (
        one(db, "select count(*) from information_schema.columns where table_name = 'job_queue'")
        == 15
    )
    policies = {
        r["policyname"]
        for r in db.execute("select policyname from pg_policies where tablename = 'job_queue'")
    }
    assert policies == {"Users can view their own jobs", "Service role has full access"}
    views = db.execute(
        "select table_name from information_schema.tables"
        " where table_schema = 'public' and table_type = 'VIEW'"
    )
    assert {r["table_name"] for r in views} == {"queue_health", "failed_jobs_recent", "stuck_jobs"}
