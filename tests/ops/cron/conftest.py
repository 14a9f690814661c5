"""The database with pg_cron, as the tests of schedules find it."""

from collections.abc import Iterator

import pytest
from cron_calls import KEY

from lib.database import connect
from lib.database.pool import Connection

NOTHING = b"""
select cron.unschedule(jobid) from cron.job;
delete from cron.job_run_details;
delete from vault.secrets;
delete from public.audit_log;
"""


@pytest.fixture
def cron(cron_database: str) -> Iterator[Connection]:
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
