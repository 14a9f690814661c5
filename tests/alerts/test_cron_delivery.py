"""A cron job that really fails, under a real pg_cron, is told once, and so is its end."""

import asyncio

import pytest
from cron_server import cron_server
from receiver import receiving

from lib.alerts import watch
from lib.alerts.watch import watch_alerts
from lib.database import open_async_pool

RUNS = "select count(*) as runs from cron.job_run_details where jobid = %s and status = %s"


@pytest.fixture
def database():
    """A server of the test's own, for what is scheduled in the shared one is others'."""
    with cron_server() as url:
        yield url


@pytest.mark.timeout(240)
async def test_a_failing_cron_job_through_the_full_cycle(
    database, db, change_rule, add_channel, eventually, monkeypatch
):
    monkeypatch.setattr(watch, "EVALUATE_SECONDS", 0)
    for row in db.execute("select rule from public.alert_rules").fetchall():
        change_rule(row["rule"], enabled=row["rule"] == "cron_failing")
    # Runs are a minute apart: the first that fails is enough here.
    change_rule("cron_failing", threshold=0, resolve_at=0)
    job = db.execute("select cron.schedule('nightly', '* * * * *', 'select 1/0') as id").fetchone()

    def ran(status: str) -> bool:
        return bool(db.execute(RUNS, (job["id"], status)).fetchone()["runs"])

    pool = await open_async_pool(database, wait=1, application_name="darkroom worker")
    with receiving() as receiver:
        add_channel(url=receiver.url)
        await watch_alerts(pool)
        assert receiver.got == []

        await asyncio.to_thread(eventually, lambda: ran("failed"), 70)
        for _ in range(3):
            await watch_alerts(pool)
        [told] = receiver.got
        assert "nightly" in told["title"] + told["message"]

        db.execute("select cron.alter_job(%s, command => 'select 1')", (job["id"],))
        await asyncio.to_thread(eventually, lambda: ran("succeeded"), 70)
        for _ in range(3):
            await watch_alerts(pool)
        assert len(receiver.got) == 2
        assert receiver.titles[1].startswith("Darkroom: over: ")
    await pool.close()
