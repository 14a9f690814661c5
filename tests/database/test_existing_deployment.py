"""Moving a queue by other hands to ours: no row lost, old calls go on, nothing half-done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.database import connect
from lib.database.bootstrap import bootstrap
from lib.database.migrations import MIGRATIONS, MigrationError, apply, pending
from lib.database.pool import Connection

EXISTING = Path(__file__).parents[1] / "sql" / "existing_deployment.sql"
ROWS = """
select (select md5(string_agg(j::text, '' order by id)) from (
            select id, job_type, payload, status, attempts, max_attempts, scheduled_at, started_at,
                completed_at, error_message, error_details, created_by, priority, created_at
            from public.job_queue) j) as jobs,
       (select md5(string_agg(g::text, '' order by id)) from (
            select id, user_id, prompt, width, status, image_url, created_at
            from public.image_generations) g) as generations,
       (select string_agg(id || name || is_active, ',' order by id) from public.models
        where id in ('black-forest-labs/flux-schnell', 'somebody/own-model')) as models
"""


@pytest.fixture
def existing(empty_database: str) -> Iterator[Connection]:
    with connect(empty_database) as conn:
        bootstrap(conn)
        conn.execute(EXISTING.read_bytes())
        yield conn


def test_no_row_is_lost_and_what_stood_in_the_way_stays_beside(existing: Connection) -> None:
    before = existing.execute(ROWS).fetchone()
    apply(existing)
    assert existing.execute(ROWS).fetchone() == before
    assert (pending(existing), apply(existing)) == ([], [])
    kept = existing.execute(
        "select proname as name from pg_proc where pronamespace = 'before_darkroom'::regnamespace"
        " union all select relname from pg_class"
        " where relnamespace = 'before_darkroom'::regnamespace and relkind in ('v', 'm')"
    ).fetchall()
    assert sorted(str(row["name"]) for row in kept) == [
        "claim_next_job",
        "claim_next_job",
        "complete_job",
        "enqueue_job",
        "failed_jobs_recent",
        "get_user_limits",
        "queue_health",
        "stuck_jobs",
    ]
    # What others built on a view goes on.
    counted = existing.execute("select sum(n) as jobs from public.own_report").fetchone()
    assert counted == {"jobs": 30}


def test_old_calls_go_on(existing: Connection) -> None:
    apply(existing)
    user = "00000000-0000-4000-8000-000000000001"
    for call in (
        "select enqueue_job('a', '{}')",
        "select enqueue_job('a', '{}', 5)",
        "select enqueue_job('a', '{}', 5, now(), 2)",
        f"select get_user_limits('{user}')",
    ):
        assert existing.execute(call.encode()).fetchone()
    claimed = existing.execute("select id, status, attempts from claim_next_job()").fetchone()
    assert claimed
    assert (claimed["status"], claimed["attempts"]) == ("processing", 1)
    existing.execute("select complete_job(%s, true)", [claimed["id"]])
    ended = existing.execute("select status from job_queue where id = %s", [claimed["id"]])
    assert ended.fetchone() == {"status": "completed"}
    existing.execute("select from queue_health, failed_jobs_recent, stuck_jobs")


def test_a_waiting_job_of_before_is_run_by_our_worker_functions(existing: Connection) -> None:
    apply(existing)
    job = existing.execute("select * from claim_jobs(1, array['generate-image'])").fetchone()
    assert job
    begun = existing.execute(
        "select * from begin_generation(%s, %s)", [job["id"], job["attempts"]]
    ).fetchone()
    assert begun


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("create table models (id uuid primary key)", "public.models has a different structure"),
        (
            "create table image_generations (id uuid primary key, prompt jsonb)",
            "public.image_generations has a different structure: its column prompt",
        ),
        ("create table models (name text)", "public.models has a different structure"),
    ],
)
def test_a_table_of_another_kind_is_named_and_left_alone(
    empty_database: str, table: str, message: str
) -> None:
    with connect(empty_database) as conn:
        bootstrap(conn)
        conn.execute(table.encode())
        conn.execute(b"create view queue_health as select 1 as one")
        name = table.split()[2]
        with pytest.raises(MigrationError, match=message) as caught:
            apply(conn)
        assert f"alter table public.{name} rename to {name}_before_darkroom" in str(caught.value)
        assert conn.execute("select one from public.queue_health").fetchone() == {"one": 1}
        conn.execute(f"alter table {name} rename to {name}_before_darkroom".encode())
        assert len(apply(conn)) == len(list(MIGRATIONS.glob("*.sql")))


def test_our_own_functions_are_not_set_aside(db: Connection) -> None:
    first = min(MIGRATIONS.glob("*.sql"))
    db.execute(first.read_bytes())
    assert db.execute("select to_regnamespace('before_darkroom') as it").fetchone() == {"it": None}
