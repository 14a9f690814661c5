"""The guide's blocks about schedules, as the role `postgres` of a hosted project with pg_cron."""

from collections.abc import Iterator

import pytest
from cron_server import OUTSIDE, cron_postgres
from guide import Block, blocks, documented
from hosted import hosted

from lib.database import connect
from lib.database.migrations import apply
from lib.database.pool import Connection

pytestmark = pytest.mark.slow

GUIDE = blocks("guide_schedule.sql")
RAN = """
insert into cron.job_run_details (jobid, status, return_message, start_time, end_time)
select jobid, status, message, now(), now()
from cron.job, (values ('succeeded', '1 row'), ('failed', 'ERROR')) run (status, message)
"""
FINDINGS = """
select f.finding from public.cron_findings() f join public.cron_jobs() j using (job_id)
where j.job_name = %s order by 1
"""


@pytest.fixture(scope="module")
def project() -> Iterator[str]:
    """The URL of a migrated project with pg_cron, pg_net and Vault, for the role that owns it."""
    with cron_postgres() as url:
        with connect(url) as conn:
            conn.execute(OUTSIDE.read_bytes())
        owner = hosted(url)
        with connect(owner) as conn:
            apply(conn)
        yield owner


@pytest.fixture
def conn(project: str) -> Iterator[Connection]:
    """A connection whose changes are undone, so that pg_cron never runs what it schedules."""
    with connect(project) as conn, conn.transaction(force_rollback=True):
        yield conn


def block(name: str, kind: str = "block") -> Block:
    [found] = [block for block in GUIDE if (block.kind, block.name) == (kind, name)]
    return found


def run(conn: Connection, block: Block) -> list[int]:
    return [conn.execute(statement.encode()).rowcount for statement in block.statements]


def test_every_block_about_schedules_runs(conn: Connection) -> None:
    run(conn, block("3.1"))
    assert run(conn, block("3.2")) == [1]
    conn.execute(RAN.encode())
    for name in ("3.4", "3.5", "3.6", "Troubleshooting: cron job", "7.1"):
        assert all(run(conn, block(name))), name
    assert conn.execute("select from cron.job").fetchall() == []


@pytest.mark.parametrize(
    ("name", "job", "finding"),
    [
        ("3.2", "process-jobs", "missing_setting"),
        ("Troubleshooting: every 30 seconds", "process-jobs", "six_fields"),
        ("Troubleshooting: second worker", "process-jobs-2", "six_fields"),
    ],
)
def test_a_schedule_that_does_not_do_what_the_guide_says_is_found_and_documented(
    conn: Connection, name: str, job: str, finding: str
) -> None:
    run(conn, block(name))
    assert finding in [row["finding"] for row in conn.execute(FINDINGS, [job])]
    assert name in documented()


def test_what_the_documents_name_instead_of_the_setting_works(conn: Connection) -> None:
    assert all(run(conn, block("3.3", "instead")))
    assert conn.execute(FINDINGS, ["process-jobs"]).fetchall() == []
    [row] = conn.execute("select public.named_secret('darkroom_secret_key') as key").fetchall()
    assert row == {"key": "sb_secret_of_the_project"}
