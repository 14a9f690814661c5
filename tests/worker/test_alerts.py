"""Workers and calls of process-jobs watch the alerts."""


async def succeed(claim):
    return {}


def watched(db):
    return db.execute("select isfinite(evaluated_at) as it from alert_watch").fetchone()["it"]


async def test_a_worker_watches(db, running, until):
    async with running(succeed):
        await until(lambda: watched(db))


async def test_process_jobs_watches(db, make_worker):
    await make_worker(succeed, kind="process-jobs").run_batch()
    assert watched(db)
