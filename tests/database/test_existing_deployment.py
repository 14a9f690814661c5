"""Moving a queue by other hands to ours: no row lost, old calls go on, nothing half-done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.database import connect
from lib.database.migrations import MIGRATIONS, MigrationError, apply, pending
from lib.database.pool import Connection

EXISTING = Path(__file__).parents[1] / "sql" / "existing_deployment.sql"
ROWS = """
select (select md5(string_agg(j::text, '' order by id)) from (
            select id, job_type, payload, status, attempts, max_attempts, scheduled_at, started_at,
                coalesce(completed_at, updated_at), error_message, error_details,
                created_by, priority, created_at
            from public.job_queue) j) as jobs,
       (select md5(string_agg(g::text, '' order by id)) from (
            select id, user_id, prompt, width, status, image_url, created_at
            from public.image_generations) g) as generations,
       (select string_agg(id || name || is_active, ',' order by id) from public.models
        where id in ('black-forest-labs/flux-schnell', 'somebody/own-model')) as models
"""


@pytest.fixture
def existing(shared_empty_database: str) -> Iterator[Connection]:
    with connect(shared_empty_database) as conn, conn.transaction(force_rollback=True):
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


def copied_models(conn: Connection) -> tuple[list[str], list[str]]:
    """Own columns of the existing models after applying, and what the audit log says was left."""
    apply(conn)
    columns = conn.execute(
        "select attname as name from pg_attribute where attrelid = 'public.models'::regclass"
        " and attname in ('name', 'is_active', 'cost') order by 1"
    ).fetchall()
    audited = conn.execute(
        "select c as it from audit_log, jsonb_array_elements_text(details -> 'changes') c"
        " where action = 'adopt_database' and c like '%before_darkroom.models%'"
    ).fetchall()
    return [row["name"] for row in columns], [row["it"] for row in audited]


def test_columns_of_models_that_users_could_not_read_are_not_copied(existing: Connection) -> None:
    existing.execute(
        """
        alter table public.models add cost numeric default 7;
        revoke select on public.models from anon, authenticated;
        grant select (id, name) on public.models to authenticated;
        """
    )
    assert copied_models(existing) == (
        ["name"],
        [
            "not copied from before_darkroom.models, because users could not read it:"
            " is_active, cost"
        ],
    )
    kept = existing.execute("select sum(cost) as cost from before_darkroom.models").fetchone()
    assert kept == {"cost": 14}


@pytest.mark.parametrize(
    ("policy", "copied"),
    [
        ("for update using (true)", []),
        ("for select to service_role using (true)", []),
        ("for select to anon using (true)", ["is_active", "name"]),
        ("using (is_active)", ["is_active", "name"]),
    ],
)
def test_row_level_security_of_models_counts_too(
    existing: Connection, policy: str, copied: list[str]
) -> None:
    existing.execute("alter table public.models enable row level security")
    existing.execute(f"create policy theirs on public.models {policy}".encode())
    assert copied_models(existing)[0] == copied


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
    ("table", "problem", "repair"),
    [
        (
            "create table image_generations (id uuid primary key, prompt jsonb)",
            "The column prompt of public.image_generations is jsonb, not text.",
            "alter table public.image_generations rename prompt to prompt_before_darkroom",
        ),
        (
            "create table image_generations (id bigint primary key)",
            "The table public.image_generations has no column id of the type uuid.",
            "alter table public.image_generations rename to image_generations_before_darkroom",
        ),
        (
            "create table image_generations (id uuid, user_id uuid)",
            "The table public.image_generations has no primary key on its column id",
            "alter table public.image_generations add primary key (id)",
        ),
        (
            "create table job_queue (id uuid primary key, created_at timestamp)",
            "is timestamp without time zone, not timestamp with time zone",
            "alter table public.job_queue alter column created_at type timestamptz"
            " using created_at at time zone 'UTC'",
        ),
        (
            "create table alerts (id int)",
            "The table alerts has a name that Darkroom needs.",
            "alter table alerts rename to alerts_before_darkroom",
        ),
        (
            "create type outputs as enum ('image', 'video')",
            "The type outputs has a name that Darkroom needs.",
            "alter type outputs rename to outputs_before_darkroom",
        ),
        (
            "create table audit_log (id int)",
            "The table audit_log has a name that Darkroom needs.",
            "alter table audit_log rename to audit_log_before_darkroom",
        ),
        (
            "create function slow_start() returns int language sql return 1",
            "The function slow_start() has a name that Darkroom needs.",
            "alter function slow_start() rename to slow_start_before_darkroom",
        ),
        (
            "create table job_queue (id uuid primary key,"
            " status text generated always as ('pending') stored)",
            "The column status of public.job_queue is generated",
            "alter table public.job_queue rename status to status_before_darkroom",
        ),
    ],
)
def test_what_stands_in_the_way_is_named_with_its_repair_and_left_alone(
    shared_empty_database: str, table: str, problem: str, repair: str
) -> None:
    with connect(shared_empty_database) as conn, conn.transaction(force_rollback=True):
        conn.execute(table.encode())
        conn.execute(b"create view queue_health as select 1 as one")
        with pytest.raises(MigrationError) as caught:
            apply(conn)
        assert problem in str(caught.value)
        assert f"{repair};" in str(caught.value)
        assert conn.execute("select one from public.queue_health").fetchone() == {"one": 1}
        conn.execute(repair.encode())
        # Which has all the checks.
        conn.execute(min(MIGRATIONS.glob("*.sql")).read_bytes())


def test_all_that_stands_in_the_way_is_reported_at_once(existing: Connection) -> None:
    existing.execute(
        """
        create table public.alerts (id int);
        alter table public.image_generations add column size int;
        alter table public.job_queue alter column priority type bigint;
        """
    )
    with pytest.raises(MigrationError) as caught:
        apply(existing)
    lines = [line for line in str(caught.value).splitlines() if line.startswith("- ")]
    assert [line.partition(". ")[0] for line in lines] == [
        "- The table alerts has a name that Darkroom needs",
        "- The column priority of public.job_queue is bigint, not integer",
        "- The column size of public.image_generations is integer, not jsonb",
    ]


def test_our_own_functions_are_not_set_aside(db: Connection) -> None:
    first = min(MIGRATIONS.glob("*.sql"))
    db.execute(first.read_bytes())
    assert db.execute("select to_regnamespace('before_darkroom') as it").fetchone() == {"it": None}
