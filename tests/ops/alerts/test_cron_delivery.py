"""A cron job that really fails, under a real pg_cron, is told once, and so is its end."""

import pytest
from cron_server import cron_server, restart
from receiver import receiving

from lib.database import connect, open_async_pool
from lib.ops.alerts import watch
from lib.ops.alerts.watch import evaluate_and_notify

RUNS = "select count(*) as runs from cron.job_run_details where jobid = %s and status = %s"


@pytest.fixture
def database():
    """A server of the test's own, for what is scheduled in the shared one is others'."""
    with cron_server() as url:
        yield url


async def test_a_failing_cron_job_through_the_full_cycle(
    database, db, change_rule, add_channel, eventually, monkeypatch
):
    monkeypatch.setattr(watch, "EVALUATE_SECONDS", 0)
    for row in db.execute("select rule from public.alert_rules").fetchall():
        change_rule(row["rule"], enabled=row["rule"] == "cron_failing")
    # The first run that fails is enough here.
    change_rule("cron_failing", threshold=0, resolve_at=0)
    # It runs as the server starts: by the clock it would not before the next minute.
    job = db.execute("select cron.schedule('nightly', '@reboot', 'select 1/0') as id").fetchone()

    def run_it(status: str) -> None:
        restart(database)
        with connect(database) as conn:
            eventually(lambda: conn.execute(RUNS, (job["id"], status)).fetchone()["runs"])

    async def look(times: int) -> None:
        pool = await open_async_pool(database, wait=1, application_name="darkroom worker")
        for _ in range(times):
            await evaluate_and_notify(pool)
        await pool.close()

    with receiving() as receiver:
        add_channel(url=receiver.url)
        await look(1)
        assert receiver.got == []

        run_it("failed")
        await look(3)
        [told] = receiver.got
        assert "nightly" in told["title"] + told["message"]

        with connect(database) as conn:
            conn.execute("select cron.alter_job(%s, command => 'select 1')", (job["id"],))
        run_it("succeeded")
        await look(3)
        assert len(receiver.got) == 2
        assert receiver.titles[1].startswith("Darkroom: resolved: ")
