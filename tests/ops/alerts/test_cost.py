"""What evaluating costs does not grow with what waits or what has ended."""

WAITING = 40_000
ENDED = 20_000
ROWS_READ = """
    select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows, seq_scan as scans
    from pg_stat_user_tables where relname = 'job_queue'
"""


def test_evaluating_reads_a_bounded_part_of_the_jobs(db, queue):
    db.execute(
        "insert into job_queue (job_type, priority, scheduled_at)"
        " select 'generate-image', n %% 4, now() - n * interval '1 ms'"
        " from generate_series(1, %s) n",
        (WAITING,),
    )
    db.execute(
        "insert into job_queue (job_type, status, attempts, started_at, completed_at)"
        " select 'generate-image', 'completed', 1, now() - n * interval '1 s',"
        " now() - n * interval '1 s' from generate_series(1, %s) n",
        (ENDED,),
    )
    db.execute("select rebuild_rollup()")
    db.execute("vacuum analyze job_queue")
    # The second one is not the first to see new rows.
    evaluated = [spent(db) for _ in range(2)][1]
    assert evaluated["scans"] == 0
    # Up to 10,000 waiting ones are counted, and the waits of up to 5,000 that ended are looked at.
    assert evaluated["rows"] < 20_000


def spent(db):
    before = read(db)
    db.execute("select evaluate_alerts()")
    after = read(db)
    return {name: after[name] - before[name] for name in after}


def read(db):
    db.execute("select pg_stat_force_next_flush()")
    db.execute("select pg_stat_clear_snapshot()")
    return db.execute(ROWS_READ).fetchone()
