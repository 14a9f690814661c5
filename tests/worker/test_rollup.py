"""Workers fold what has finished; a database that is away stops neither them nor the folding."""

import pytest

from lib.database import connect


async def succeed(claim):
    return {}


def folded(db):
    return db.execute("select coalesce(sum(jobs), 0)::int as jobs from job_rollup").fetchone()[
        "jobs"
    ]


@pytest.fixture
def hurried(monkeypatch):
    """Folding many times a second."""
    monkeypatch.setattr("lib.worker.rollup.REFRESH_SECONDS", 0.02)


async def test_a_worker_folds_what_has_finished(db, enqueue, running, until, hurried):
    enqueue()
    async with running(succeed):
        await until(lambda: folded(db) == 1)


async def test_process_jobs_folds_after_its_jobs(db, enqueue, make_worker, monkeypatch):
    monkeypatch.setattr("lib.worker.rollup.REFRESH_SECONDS", 0)
    for _ in range(3):
        enqueue()
        await make_worker(succeed, kind="process-jobs").run_batch()
    # What the last call has finished, the next one finds to be safe.
    assert folded(db) == 2


async def test_a_database_that_was_away_is_folded_when_it_is_back(
    db, database, enqueue, running, until, hurried, database_away
):
    async with running(succeed):
        with database_away():
            pass
        with connect(database) as again:
            again.execute("select enqueue_job('test', '{}')")
            await until(lambda: folded(again) == 1)
