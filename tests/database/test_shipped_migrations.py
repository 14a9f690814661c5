"""Our own migrations on the databases they meet: new, old grants, already in use."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from lib.database import connect
from lib.database.bootstrap import bootstrap
from lib.database.migrations import MIGRATIONS, apply, pending
from lib.database.pool import Connection

ROLES = ("anon", "authenticated", "service_role")
OLD_DEFAULTS = """
alter default privileges in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on functions to anon, authenticated, service_role;
"""
TABLE_RIGHTS = """
select relname, role, privilege
from pg_class, unnest(%s::text[]) role,
    unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm', 'p')
    and has_table_privilege(role, pg_class.oid, privilege)
"""
SEQUENCE_RIGHTS = """
select relname, role, privilege
from pg_class, unnest(%s::text[]) role, unnest('{USAGE,SELECT,UPDATE}'::text[]) privilege
where relnamespace = 'public'::regnamespace and relkind = 'S'
    and has_sequence_privilege(role, pg_class.oid, privilege)
"""
FUNCTION_RIGHTS = """
select p.oid::regprocedure::text as function, role
from pg_proc p, unnest(%s::text[]) role
where pronamespace = 'public'::regnamespace and has_function_privilege(role, p.oid, 'execute')
"""
IN_USE = """
create table public.job_queue (
    id uuid primary key default gen_random_uuid(),
    job_type text, payload jsonb, status text, attempts int default 0, max_attempts int default 3,
    scheduled_at timestamptz default now(), started_at timestamptz, completed_at timestamptz,
    error_message text, error_details jsonb, created_by uuid, priority int default 0,
    created_at timestamptz default now(), updated_at timestamptz default now()
);
create index idx_job_queue_status on public.job_queue (status, priority);
create index idx_job_queue_payload on public.job_queue using gin (payload);
alter table public.job_queue enable row level security;
create policy "Users can view their own jobs" on public.job_queue for select using (true);
insert into public.job_queue (job_type, payload, status, attempts, priority, created_at)
select 'generate-image', jsonb_build_object('generation_id', n % 40), status, n % 5, n % 3 - 1,
    now() - n * interval '1 minute'
from generate_series(1, 200) n,
    unnest('{pending,processing,completed,failed,cancelled,unheard-of}'::text[]) status
where status <> 'processing' or n <= 40;
insert into public.job_queue (job_type, payload, status)
values ('', null, null), (null, '[]', 'pending');
"""
KEPT = """
select md5(string_agg(kept::text, '' order by id)) as sum, count(*) from (
    select id, job_type, payload, attempts, max_attempts, created_by, priority, created_at
    from public.job_queue
) kept
"""


# Up to version 2.117 Supabase's CLI ends a file's statement at the first "end" in such a body.
BEGIN_ATOMIC = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)
# `supabase db lint` warns of a literal without a cast (42804).
WITHOUT_CAST = re.compile(
    r"^\s+\w+\s++(?!(?:constant )?text\s)[\w. ]+(?:\[\])?\s*:=\s*'[^']*';", re.MULTILINE
)


@pytest.fixture
def plain(empty_database: str) -> Iterator[Connection]:
    """A connection to a database with bootstrap alone."""
    with connect(empty_database) as conn:
        bootstrap(conn)
        yield conn


def rights(conn: Connection, query: str) -> set[tuple[str, ...]]:
    return {tuple(row.values()) for row in conn.execute(query, [list(ROLES)])}


@pytest.mark.parametrize("path", sorted(MIGRATIONS.glob("*.sql")), ids=lambda path: path.stem[15:])
def test_file_suits_the_supabase_cli(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # A version that is no time stands in its list without one.
    assert datetime.strptime(path.name.partition("_")[0], "%Y%m%d%H%M%S")
    assert BEGIN_ATOMIC.findall(text) == []
    assert WITHOUT_CAST.findall(text) == []


def test_second_apply_does_nothing(db: Connection) -> None:
    assert pending(db) == []
    assert apply(db) == []


@pytest.mark.parametrize("query", [TABLE_RIGHTS, SEQUENCE_RIGHTS, FUNCTION_RIGHTS])
def test_rights_are_the_same_under_old_and_new_defaults(
    db: Connection, plain: Connection, query: str
) -> None:
    plain.execute(OLD_DEFAULTS)
    apply(plain)
    assert rights(plain, query) == rights(db, query)


def test_rights_on_tables_are_the_least_that_works(db: Connection) -> None:
    found = rights(db, TABLE_RIGHTS)
    of_users = {right for right in found if right[1] != "service_role"}
    assert {privilege for _, _, privilege in of_users} == {"SELECT"}
    assert {table for table, role, _ in of_users if role == "anon"} == {"models"}
    for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        assert ("job_queue", "service_role", privilege) in found
    assert ("job_queue", "service_role", "TRUNCATE") not in found


def test_database_in_use_keeps_every_row_index_and_column(plain: Connection) -> None:
    plain.execute(IN_USE)
    before = plain.execute(KEPT).fetchall()
    live = "select count(*) from job_queue where status in ('pending', 'processing')"
    apply(plain)
    assert plain.execute(KEPT).fetchall() == before
    indexes = {row["indexname"] for row in plain.execute("select indexname from pg_indexes")}
    assert {"idx_job_queue_status", "idx_job_queue_payload", "job_queue_pending_idx"} <= indexes
    columns = plain.execute(
        "select from pg_attribute where attrelid = 'job_queue'::regclass and attnum > 0"
    ).fetchall()
    assert len(columns) == 15
    assert plain.execute(live).fetchone() == {"count": 41}, "the oldest of each generation, and one"


def test_database_in_use_goes_on_working(plain: Connection) -> None:
    plain.execute(IN_USE)
    apply(plain)
    claimed = plain.execute("select id, attempts from claim_next_job()").fetchone()
    assert claimed is not None
    job_id = plain.execute("select enqueue_job('generate-image', '{}') as id").fetchone()
    assert job_id is not None
    plain.execute("select from queue_health, failed_jobs_recent, stuck_jobs")


def test_database_in_use_claims_jobs_that_lack_what_ours_have(plain: Connection) -> None:
    plain.execute(IN_USE)
    apply(plain)
    plain.execute("delete from job_queue where status = 'pending'")
    plain.execute("insert into job_queue (status, priority) values ('pending', null)")
    claimed = plain.execute("select job_type, priority, status from claim_next_job()").fetchall()
    assert claimed == [{"job_type": None, "priority": None, "status": "processing"}]


def test_every_prefix_of_the_migrations_can_be_continued(plain: Connection, tmp_path: Path) -> None:
    for path in sorted(MIGRATIONS.glob("*.sql")):
        (tmp_path / path.name).symlink_to(path)
        assert [migration.path.name for migration in apply(plain, tmp_path)] == [path.name]
    assert pending(plain) == []
