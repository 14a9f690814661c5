"""Numbers for a monitor only grow, whatever becomes of the jobs."""


def totals(db):
    return {row["status"]: row["jobs"] for row in db.execute("select * from public.ended_totals()")}


def test_totals_never_fall(db, queue):
    queue.complete(5)
    queue.fail(2)
    assert totals(db) == {"completed": 5, "failed": 2}
    db.execute(
        "select * from public.retry_jobs('me',"
        " array(select id from public.job_queue where status = 'failed'))"
    )
    assert totals(db) == {"completed": 5, "failed": 2}
    db.execute("delete from public.job_queue where status = 'completed'")
    assert totals(db) == {"completed": 5, "failed": 2}
    queue.complete(6)
    assert totals(db) == {"completed": 6, "failed": 2}
