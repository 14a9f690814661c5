"""The deployment guide, block by block, as the role `postgres` of a hosted project runs it.

A block runs as it stands, or docs/deployment.md says why not and what to do instead.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from guide import Block, blocks, documented
from httpx import ASGITransport, AsyncClient
from psycopg import Error
from starlette.applications import Starlette

from lib.api.routes import routes
from lib.database import connect
from lib.database.migrations import apply
from lib.database.pool import Connection
from lib.service import Service
from lib.settings import parse

GUIDE = blocks("guide.sql")
RUNS = [block for block in GUIDE if not block.refused]
REFUSED = [block for block in GUIDE if block.refused]
OVER_HTTP = {"2.4", "2.5", "5.2"}
WITHOUT_SQL = {"1.2", "2.1", "2.2", "2.3", "4.1", "4.2", "4.3", "5.3"}
"""Commands and code of applications, which the documents replace."""
PUBLISHABLE, SECRET = "sb_publishable_of_the_guide", "sb_secret_of_the_guide"
FUNCTIONS = "http://localhost/functions/v1/"
MODEL = "black-forest-labs/flux-schnell"
USED = Path(__file__).parents[1] / "sql" / "guide_data.sql"
ENDED = """
select
    g.status, g.completed_at is not null as generation_ended,
    q.completed_at is not null as job_ended
from public.image_generations g
join public.job_queue q on public.generation_of(q.payload) = g.id and q.status = 'cancelled'
order by g.id
"""


@pytest.fixture(scope="module")
def project(hosted_database: str) -> str:
    """The same, migrated and in use."""
    with connect(hosted_database) as conn:
        apply(conn)
        conn.execute(USED.read_bytes())
    return hosted_database


@pytest.fixture
def conn(project: str) -> Iterator[Connection]:
    """A connection whose changes are undone."""
    with connect(project) as conn, conn.transaction(force_rollback=True):
        yield conn


def run(conn: Connection, block: Block) -> list[int]:
    """Runs a block; returns how many rows each statement returned or changed."""
    return [conn.execute(statement.encode()).rowcount for statement in block.statements]


@pytest.mark.parametrize("block", RUNS, ids=str)
def test_block_runs_and_finds_what_it_looks_for(conn: Connection, block: Block) -> None:
    for statement, rows in zip(block.statements, run(conn, block), strict=True):
        assert rows or statement.startswith(("create", "do"))


@pytest.mark.parametrize("block", REFUSED, ids=str)
def test_block_that_a_project_refuses_is_documented(conn: Connection, block: Block) -> None:
    [statement] = block.statements
    statement = statement.replace("database postgres", f"database {conn.info.dbname}")
    with pytest.raises(Error) as refused:
        conn.execute(statement.encode())
    assert refused.value.sqlstate == block.refused
    assert block.name in documented()


def test_every_block_has_a_test_or_an_entry_in_the_documents() -> None:
    schedule = {block.name for block in blocks("guide_schedule.sql")}
    known = {block.name for block in GUIDE} | schedule | OVER_HTTP | WITHOUT_SQL
    entries = set(documented())
    assert entries >= WITHOUT_SQL
    assert entries - {"–"} <= known, "entries for blocks that the guide does not have"


@pytest.mark.parametrize(
    ("name", "rows"), [("1.3", 15), ("1.5", 3), ("1.6", 2), ("5.4", 2)], ids=lambda value: value
)
def test_block_finds_all_of_it(conn: Connection, name: str, rows: int) -> None:
    [block] = [block for block in RUNS if (block.kind, block.name) == ("block", name)]
    assert run(conn, block) == [rows]


def test_the_three_functions_are_there(conn: Connection) -> None:
    [block] = [block for block in RUNS if block.name == "1.4"]
    found = conn.execute(block.statements[0].encode()).fetchall()
    assert {row["routine_name"] for row in found} == {
        "enqueue_job",
        "claim_next_job",
        "complete_job",
    }


def test_a_reset_by_update_is_claimed_again(conn: Connection) -> None:
    [block] = [block for block in RUNS if block.name == "6.3"]
    assert run(conn, block) == [1, 1]
    conn.execute("delete from job_queue where payload->>'model_id' = 'm'")
    claimed = conn.execute("select attempts from claim_jobs(10)").fetchall()
    assert [row["attempts"] for row in claimed] == [2, 2, 2]


def test_an_update_to_cancelled_ends_the_generations_too(conn: Connection) -> None:
    [block] = [block for block in RUNS if block.name == "7.3"]
    assert run(conn, block) == [5]
    assert conn.execute(ENDED.encode()).fetchall() == [
        {"status": status, "generation_ended": True, "job_ended": True}
        for status in ("cancelled", "cancelled", "completed")
    ]


def test_views_are_copied_to_the_client(conn: Connection) -> None:
    with conn.cursor().copy("copy (select * from failed_jobs_recent) to stdout csv header") as rows:
        assert b"Replicate answered 500" in b"".join(bytes(row) for row in rows)


async def test_the_functions_answer_curl(project: str, tmp_path: Path) -> None:
    settings = parse(
        {
            "DATABASE_URL": project,
            "DARKROOM_DATA": str(tmp_path),
            "SUPABASE_PUBLISHABLE_KEY": PUBLISHABLE,
            "SUPABASE_SECRET_KEY": SECRET,
            "SUPABASE_URL": "http://127.0.0.1:9",
            "DARKROOM_ANONYMOUS_STARTS": "1",
            "DARKROOM_SIMULATOR_SPEED": "200",
            "DARKROOM_SIMULATOR_FAILURE_RATE": "0",
        }
    )
    service = Service(settings)
    app = Starlette(routes=routes(lambda: service.functions))
    transport = ASGITransport(app)
    async with service.lifespan(app), AsyncClient(transport=transport, base_url=FUNCTIONS) as curl:
        wanted = {"prompt": "A buoy", "model_id": MODEL, "width": 512, "height": 512}
        bearer = {"Authorization": f"Bearer {PUBLISHABLE}"}
        started = (await curl.post("start-generation", json=wanted, headers=bearer)).json()
        assert started.keys() >= {"success", "generation_id", "job_id", "status"}
        assert (started["success"], started["status"]) == (True, "queued")
        assert started["size"]["expected"]["width"] == started["size"]["expected"]["height"] == 512
        with connect(project) as conn:
            conn.execute("delete from job_queue where id <> %s", [started["job_id"]])
            run(conn, next(block for block in RUNS if block.name == "5.5"))
        bearer = {"Authorization": f"Bearer {SECRET}"}
        began = time.monotonic()
        answer = (await curl.post("process-jobs", json={}, headers=bearer)).json()
        assert time.monotonic() - began < 5
    assert answer.keys() >= {"success", "processed", "errors", "message", "running"}
    assert (answer["success"], answer["processed"], answer["errors"]) == (True, 2, 1)
    with connect(project) as conn:
        [failed] = conn.execute("select error_message from failed_jobs_recent").fetchall()
    assert "no-such-model" in failed["error_message"]
