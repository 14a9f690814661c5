"""The database with pg_cron, as the tests of schedules find it."""

from collections.abc import Iterator

import pytest
from cron_calls import KEY, URL, one

from lib.database import connect
from lib.database.pool import Connection

NOTHING = b"""
select cron.unschedule(jobid) from cron.job;
delete from cron.job_run_details;
delete from vault.secrets;
delete from public.audit_log;
"""
MISSING = "select current_setting('app.settings.no_such_key')"


@pytest.fixture(scope="session")
def ticking(cron_database: str) -> Iterator[Connection]:
    """A connection to the database once jobs of each minute are scheduled there for real."""
    with connect(cron_database) as conn:
        conn.execute("insert into vault.secrets values ('ticking', %s)", [KEY])
        one(conn, "select schedule_process_jobs('me', '* * * * *', %s, 'ticking')", URL)
        conn.execute("select cron.schedule('reads a missing key', '* * * * *', %s)", [MISSING])
        yield conn
        conn.execute("select cron.unschedule(jobid) from cron.job")


@pytest.fixture
def cron(cron_database: str, ticking: Connection) -> Iterator[Connection]:
    """A connection to that database without any job, run, key or record.

    All that is done over it is undone: pg_cron never sees it, so nothing of it runs.
    """
    with connect(cron_database) as conn, conn.transaction(force_rollback=True):
        conn.execute(NOTHING)
        yield conn


@pytest.fixture
def with_key(cron: Connection) -> Connection:
    """The same, but with a key in Vault."""
    cron.execute("insert into vault.secrets values ('darkroom_secret_key', %s)", [KEY])
    return cron
