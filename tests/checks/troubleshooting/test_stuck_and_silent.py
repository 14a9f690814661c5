"""Jobs hang, nobody hears of changes, jobs come twice: provoked, read, repaired."""

import json
import signal

SCHNELL = "black-forest-labs/flux-schnell"
OLD = "update {} set {} = now() - interval '11 minutes'"


def test_jobs_of_a_killed_worker_are_reset(page, db, start_worker, eventually, ended):
    worker = start_worker()
    db.execute("select start_generation(null, 'Never ends [hang]', %s, '{}', 'test')", [SCHNELL])
    running = "select from job_leases l join job_queue q on q.id = l.job_id"
    eventually(lambda: db.execute(running).fetchall())
    worker.send_signal(signal.SIGKILL)
    worker.wait(30)
    for table, column in (
        ("job_queue", "started_at"),
        ("job_leases", "heartbeat_at"),
        ("workers", "last_seen_at"),
    ):
        db.execute(OLD.format(table, column).encode())
    said = page.read("stuck")
    assert "Worker lost with running jobs" in said
    assert f"(pid {worker.pid}) with 1 job, no heartbeat for 11 min" in said
    assert "No worker alive." in said
    assert page.press("Reset 1 stuck job") == "1 job put back on the queue."
    assert page.healthy("stuck")
    db.execute('update job_queue set payload = payload || \'{"prompt": "a fox"}\'')
    db.execute("update image_generations set prompt = 'a fox', prediction_id = null")
    db.execute("delete from predictions")
    start_worker()
    assert ended(1) == ["completed"]


def test_jobs_that_nobody_works_on_are_reset(page, db):
    db.execute("select enqueue_job('a', '{}') from generate_series(1, 2)")
    db.execute("select claim_jobs(2)")
    db.execute("delete from job_leases")
    db.execute(OLD.format("job_queue", "started_at").encode())
    said = page.read("stuck")
    assert "Jobs are running without a worker." in said
    assert "2 jobs without a lease" in said
    assert page.press("Reset 2 stuck jobs") == "2 jobs put back on the queue."
    assert page.healthy("stuck")


def test_a_job_that_runs_without_end_is_cancelled(page, db):
    db.execute("select enqueue_job('a', '{}')")
    db.execute("select claim_jobs(1, null, gen_random_uuid())")
    db.execute("update job_queue set started_at = now() - interval '40 minutes'")
    said = page.read("stuck")
    assert "Jobs have been running for more than 30 min on a live worker." in said
    assert "1 job, the longest for 40 min" in said
    assert page.press("Cancel 1 job") == "1 job cancelled."
    assert page.healthy("stuck")


def test_a_table_that_left_the_publication_is_added(page, db):
    db.execute("alter publication supabase_realtime drop table image_generations")
    said = page.read("realtime")
    assert "image_generations is not in the publication supabase_realtime" in said
    assert page.press("Restore updates") == "Restored: image_generations in the publication."
    assert page.healthy("realtime")
    db.execute("drop publication supabase_realtime")
    assert "There is no publication supabase_realtime." in page.read("realtime")
    page.press("Restore updates")
    assert page.healthy("realtime")


def test_a_policy_that_is_missing_is_made_anew(page, db):
    db.execute('drop policy "Users can view their own generations" on image_generations')
    db.execute("revoke select on job_queue from authenticated")
    said = page.read("realtime")
    assert "Users may not read their own rows" in said
    assert "signed-in users may not read job_queue; image_generations lacks the policy" in said
    assert page.press("Restore policies").startswith("Restored: the privilege to read job_queue")
    assert page.healthy("realtime")


def test_a_trigger_that_is_disabled_tells_again(page, db):
    db.execute("alter table image_generations disable trigger image_generations_changed")
    assert "The trigger image_generations_changed is missing or disabled." in page.read("realtime")
    assert page.press("Restore updates") == "Restored: the trigger that sends NOTIFY."
    assert page.healthy("realtime")


def test_duplicates_are_cancelled(page, db):
    for generation in ("No-UUID", "no-uuid", "no-UUID"):
        db.execute("select enqueue_job('a', %s)", [json.dumps({"generation_id": generation})])
    said = page.read("duplicates")
    assert "Pending jobs duplicate another job" in said
    assert "an older job of the same generation is pending or running: 2." in said
    assert page.press("Cancel 2 duplicates") == "2 jobs cancelled."
    assert page.healthy("duplicates")


def test_the_index_that_refuses_duplicates_is_built_anew(page, db):
    made = "select pg_get_indexdef('job_queue_live_generation_key'::regclass)"
    before = db.execute(made).fetchone()
    db.execute("drop index job_queue_live_generation_key")
    said = page.read("duplicates")
    assert "A generation can now get a second pending or running job." in said
    assert page.press("Build index") == "job_queue_live_generation_key built."
    assert db.execute(made).fetchone() == before
    assert page.healthy("duplicates")


def test_applications_that_ask_twice_are_noticed(page, db):
    again = (
        "select start_generation(null, 'a fox ' || n, %s, '{}', 'app') from generate_series(1, 5) n"
    )
    db.execute(again, [SCHNELL])
    assert page.healthy("duplicates")
    db.execute(again, [SCHNELL])
    said = page.read("duplicates")
    assert "5 generations in the last hour had the same prompt, model and parameters" in said
    assert "Idempotency-Key" in said
    db.execute("update image_generations set created_at = created_at - interval '2 hours'")
    assert page.healthy("duplicates")
