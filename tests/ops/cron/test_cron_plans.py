"""What the Workers page asks grows with what workers hold, not with the queue."""

from pathlib import Path

from lib.database import load

plans = load("plans", Path(__file__).parents[2] / "rollup")
workers = load("workers")
HELD = """
insert into workers (id, kind, host, pid, process_started_at, version, job_types, concurrency)
select gen_random_uuid(), 'worker', 'host', n, now(), '1', '{a}', 10 from generate_series(1, 50) n;
insert into job_leases (job_id, attempt, worker_id, heartbeat_at)
select q.id, q.attempts, (select id from workers limit 1), now() from job_queue q
where q.status = 'processing' limit 200;
analyze workers, job_leases;
"""


def test_the_queue_is_not_read_from_end_to_end(db):
    plans.fill(db)
    db.execute(HELD)
    plans.flush(db)
    before = plans.scans(db)
    # More often than the five times after which a plan no longer depends on its parameters.
    for _ in range(7):
        workers.workers(db)
        assert workers.held(db, most=200)
        workers.calls(db, most=200)
        workers.own_schedule(db)
    plans.flush(db)
    assert plans.scans(db) == before
    db.execute("select count(*) from job_queue where payload is not null")
    plans.flush(db)
    assert plans.scans(db) > before, "scans are not counted"
