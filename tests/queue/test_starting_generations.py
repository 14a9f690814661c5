"""Limits, repeated requests, and what users may see and call."""

import json
from uuid import uuid4

import psycopg
import pytest
from queue_calls import OTHER, WORKER

START = "select start_generation(null, %s, 'black-forest-labs/flux-schnell', '{}', 'app', %s)"


def test_twenty_an_hour(queue):
    for _ in range(20):
        queue.one(START, "p", None)
    with pytest.raises(psycopg.Error) as refused:
        queue.one(START, "p", None)
    assert refused.value.sqlstate == "DR429"
    limits = json.loads(refused.value.diag.message_detail)
    assert (limits["hourly_used"], limits["can_generate"]) == (20, False)
    assert 3500 < limits["retry_after_seconds"] <= 3600
    assert queue.one("select get_user_limits(null)")["can_generate"] is False
    assert queue.one("select count(*) from job_queue") == 20


def test_an_idempotency_key_gives_the_first_answer(queue):
    assert queue.one(START, "p", "key") == queue.one(START, "p", "key")
    with pytest.raises(psycopg.Error, match="different request"):
        queue.one(START, "q", "key")
    assert queue.one("select count(*) from job_queue") == 1


def test_the_same_key_of_another_user_is_another_request(queue):
    start = START.replace("null", "%s", 1)
    users = [
        queue.one("insert into auth.users (id) values (gen_random_uuid()) returning id")
        for _ in range(2)
    ]
    answers = [queue.one(start, user, "p", "key") for user in (*users, None)]
    assert len({answer["generation_id"] for answer in answers}) == 3
    assert [queue.one(start, user, "p", "key") for user in (*users, None)] == answers


def test_an_idempotency_key_is_forgotten_after_a_day(queue):
    first = queue.one(START, "p", "key")
    age = "update idempotency_keys set created_at = now() - %s::interval"
    queue.rows(f"{age} returning 1", "23 hours")
    assert queue.one(START, "p", "key") == first
    queue.rows(f"{age} returning 1", "25 hours")
    assert queue.one(START, "q", "key") != first


def test_prompts_of_keys_are_gone_after_their_day_whoever_comes_back(queue):
    kept = queue.one(START, "kept", "new")
    start = START.replace("null", "%s", 1)
    for _ in range(3):
        user = queue.one("insert into auth.users (id) values (gen_random_uuid()) returning id")
        queue.one(start, user, "private", "old")
    queue.db.execute(
        "update idempotency_keys set created_at = now() - interval '25 hours' where key <> 'new'"
    )
    queue.one("select refresh_rollup()")
    [row] = queue.rows("select key, generation_id from idempotency_keys")
    assert (row["key"], str(row["generation_id"])) == ("new", kept["generation_id"])


def test_a_job_that_was_enqueued_by_hand_switches_no_safety_system_off(queue):
    job_id = queue.claimed(parameters={"disable_safety_checker": True})
    with pytest.raises(psycopg.Error, match="only be set by operators") as refused:
        queue.begin(job_id)
    assert refused.value.sqlstate == "DR422"


def test_no_user_reads_who_operated_on_their_jobs(queue):
    """Nor does Realtime, which publishes the same columns."""
    actor = "operator.name@studio.example"
    stuck, running, done = (queue.claimed(generation_id=str(uuid4())) for _ in range(3))
    for job_id in (stuck, running, done):
        queue.begin(job_id)
    queue.complete(done)
    again = queue.enqueue(generation_id=queue.job(done)["payload"]["generation_id"])
    queue.make_silent(stuck)
    assert queue.reset(actor=actor) == {stuck}
    queue.rows("select id from cancel_jobs(%s, array[%s])", actor, running)
    queue.rows("select id from cancel_duplicates(%s)", actor)
    assert [queue.status(job) for job in (running, again)] == ["cancelled"] * 2
    shown = queue.rows(
        "select to_jsonb(q) || jsonb_build_object('g', g) as row from job_queue q"
        " left join image_generations g on g.id = generation_of(q.payload)"
    )
    assert actor not in str(shown)
    assert [row["actor"] for row in queue.rows("select actor from audit_log")] == [actor] * 3


def test_a_user_sees_only_own_jobs_and_may_not_enqueue(queue):
    queue.rows("select enqueue_job('x', '{}', 0, now(), 3, %s)", WORKER)
    queue.rows("select enqueue_job('x', '{}', 0, now(), 3, %s)", OTHER)
    queue.rows("select set_config('request.jwt.claims', %s, false)", json.dumps({"sub": WORKER}))
    queue.db.execute("set role authenticated")
    assert str(queue.one("select created_by from job_queue")) == WORKER
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        queue.rows("select enqueue_job('x', '{}')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        queue.rows("select get_user_limits(%s)", OTHER)


def test_the_contract_is_visible_in_the_catalogue(queue):
    columns = "select count(*) from information_schema.columns where table_name = 'job_queue'"
    assert queue.one(columns) == 15
    policies = queue.rows("select policyname from pg_policies where tablename = 'job_queue'")
    assert {row["policyname"] for row in policies} == {
        "Users can view their own jobs",
        "Service role has full access",
    }
    views = queue.rows("select viewname from pg_views where schemaname = 'public'")
    assert {row["viewname"] for row in views} >= {
        "queue_health",
        "failed_jobs_recent",
        "stuck_jobs",
    }
