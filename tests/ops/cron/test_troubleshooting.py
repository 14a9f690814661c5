"""Schedules as a cause why jobs stay pending, and forgetting what pg_cron remembers, on pg_cron."""

from collections.abc import Iterator

import pytest
from cron_calls import BY_HAND, one, ran, schedule

from lib.checks.check import Finding
from lib.checks.troubleshooting.catalogue import ranked, run_checks
from lib.checks.troubleshooting.pending import PENDING
from lib.database import Pool, connect, load, open_pool
from lib.database.pool import Connection

LEFT = b"""
select cron.unschedule(jobid) from cron.job;
delete from cron.job_run_details;
delete from public.workers;
truncate public.job_queue cascade;
"""


@pytest.fixture
def conn(cron_database: str) -> Iterator[Connection]:
    """A connection to the database with pg_cron; what is done over it stays until the end."""
    with connect(cron_database) as conn:
        yield conn
        conn.execute(LEFT)


@pytest.fixture
def pool(cron_database: str) -> Iterator[Pool]:
    with open_pool(cron_database) as pool:
        yield pool


def causes(conn: Connection) -> list[Finding]:
    looked = run_checks(PENDING, lambda file, query: getattr(load(file), query)(conn))
    return [finding for finding in ranked(looked) if finding.cause.startswith("Cron job ")]


def test_a_paused_schedule_is_resumed(conn: Connection, pool: Pool):
    job = schedule(conn, BY_HAND, name="<wake>")
    conn.execute("select enqueue_job('generate-image', '{}')")
    assert causes(conn) == []
    conn.execute("select cron.alter_job(%s, active => false)", [job])
    [finding] = causes(conn)
    assert (finding.cause, finding.status, finding.jobs) == (
        "Cron job <wake> is paused.",
        "critical",
        1,
    )
    assert finding.repair is not None
    assert finding.repair.run(pool, "me") == "Schedule resumed."
    assert causes(conn) == []
    assert one(conn, "select active from cron.job")


def test_a_schedule_that_fails_is_told_with_its_message(conn: Connection):
    job = schedule(conn, BY_HAND)
    schedule(conn, "select 1", name="something else")
    ran(conn, job)
    for _ in range(2):
        ran(conn, job, "failed", message='ERROR: unrecognized parameter "app.x"')
    [finding] = causes(conn)
    assert finding.cause == "Cron job by hand: last 2 runs failed."
    assert 'unrecognized parameter "app.x"' in finding.evidence
    assert finding.page == "workers"
    ran(conn, job)
    assert causes(conn) == []


def test_old_runs_are_forgotten(cron: Connection):
    job = schedule(cron, "select 1")
    for _ in range(5):
        ran(cron, job)
    cron.execute("update cron.job_run_details set end_time = end_time - interval '8 days'")
    ran(cron, job)
    assert one(cron, "select cron_history_rows()") == 6
    assert one(cron, "select purge_cron_history('me', '7 days', 2)") == 2
    assert one(cron, "select purge_cron_history('me', '7 days')") == 3
    assert one(cron, "select purge_cron_history('me', '7 days')") == 0
    assert one(cron, "select cron_history_rows()") == 1
    record = cron.execute(
        "select affected from audit_log where action = 'purge_cron_history' order by id"
    )
    assert [row["affected"] for row in record.fetchall()] == [2, 3]
