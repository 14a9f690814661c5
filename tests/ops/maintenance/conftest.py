"""A folded history of finished jobs."""

import pytest

from lib.database import Connection

JOBS = 3000


@pytest.fixture
def filled(db: Connection) -> Connection:
    """Three thousand finished jobs of thirty days that are folded, and one that waits."""
    db.execute(
        "insert into job_queue (job_type, payload, status, attempts, scheduled_at, started_at,"
        " completed_at, created_at, error_message)"
        " select 'generate-image', jsonb_build_object('model_id', 'm/' || n %% 3),"
        " case when n %% 9 = 0 then 'failed' else 'completed' end, 1, at, at, at + interval '4 s',"
        " at, case when n %% 9 = 0 then 'no luck' end"
        " from (select n, now() - n * interval '864 seconds' as at"
        " from generate_series(1, %s) n) j",
        [JOBS],
    )
    db.execute("select enqueue_job('generate-image', '{}')")
    db.execute("select rebuild_rollup()")
    db.execute("select refresh_rollup()")
    return db
