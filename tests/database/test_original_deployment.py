"""The database of the application that Darkroom replaces, taken over: rows in every state go on."""

from collections.abc import Iterator
from typing import Any

import original_deployment as original
import pytest

from lib.database import connect, embedded
from lib.database.migrations import MigrationError, apply
from lib.database.pool import Connection

SCHNELL = "black-forest-labs/flux-schnell"
KEPT = """
select md5(string_agg(j::text, '' order by id)) as jobs from (
    select id, job_type, payload, status, attempts, max_attempts, scheduled_at, started_at,
        error_message, error_details, created_by, priority, created_at, updated_at
    from public.job_queue
) j
union all
select md5(string_agg(g::text, '' order by id)) from (
    select id, user_id, prompt, negative_prompt, model, style, width, height, steps, guidance_scale,
        generation_time_seconds, status, error_message, created_at, updated_at
    from public.image_generations
) g
union all
select md5(string_agg(i::text, '' order by id)) from public.images i
"""


@pytest.fixture
def conn(shared_empty_database: str) -> Iterator[Connection]:
    """The original's database."""
    with connect(shared_empty_database) as conn, conn.transaction(force_rollback=True):
        original.make(conn)
        yield conn


@pytest.fixture(scope="module")
def taken_over(postgres: embedded.EmbeddedPostgres) -> Iterator[Connection]:
    with connect(postgres.url) as admin:
        admin.execute("create database taken_over")
        with connect(postgres.url.replace("/postgres?", "/taken_over?")) as conn:
            original.make(conn)
            apply(conn)
            yield conn
        admin.execute("drop database taken_over with (force)")


@pytest.fixture
def db(taken_over: Connection) -> Iterator[Connection]:
    """The original's database, taken over."""
    with taken_over.transaction(force_rollback=True):
        yield taken_over


def one(conn: Connection, query: str, *arguments: Any) -> dict[str, Any]:
    row = conn.execute(query.encode(), arguments).fetchone()
    assert row
    return row


def test_no_row_changes_and_no_trigger_hears_of_it(conn: Connection) -> None:
    models = "select string_agg(m::text, '' order by id) as it from %s m"
    before = (conn.execute(KEPT).fetchall(), one(conn, models % "public.models"))
    apply(conn)
    assert (conn.execute(KEPT).fetchall(), one(conn, models % "before_darkroom.models")) == before
    assert one(conn, "select count(*) as n from heard") == {"n": 0}
    original.use(conn)


def test_a_pending_job_keeps_its_flat_input(db: Connection) -> None:
    for number in (1, 2):
        db.execute("update job_queue set priority = 1000 where id = %s", [original.job(number)])
        claimed = one(db, "select id, attempts from claim_jobs(1, array['generate-image'])")
        assert str(claimed["id"]) == original.job(number)
        begun = one(
            db, "select * from begin_generation(%s, %s)", claimed["id"], claimed["attempts"]
        )
        assert (begun["status"], begun["model_id"]) == ("processing", SCHNELL)
        assert begun["input"] == {
            "prompt": f"Prompt 0{number}",
            "aspect_ratio": "2:3",
            "megapixels": "0.25",
            "num_inference_steps": 4,
            "seed": 42,
        }


def test_a_flat_job_without_its_generation_gets_one_of_its_user(db: Connection) -> None:
    payload = (
        f'{{"user_id": "{original.WITHOUT_PROFILE}", "prompt": "A fox", "width": 1024,'
        f' "height": 576,'
        f' "model_id": "{SCHNELL}", "seed": 7}}'
    )
    made = one(db, "select enqueue_job('generate-image', %s, 1000) as id", payload)
    db.execute("select claim_next_job()")
    begun = one(db, "select * from begin_generation(%s, 1)", made["id"])
    assert str(begun["user_id"]) == original.WITHOUT_PROFILE
    assert (begun["input"]["aspect_ratio"], begun["input"]["seed"]) == ("16:9", 7)


def test_jobs_without_priority_are_claimed_among_the_others(db: Connection) -> None:
    claimed = db.execute("select id from claim_jobs(10, array['generate-image'])").fetchall()
    assert {str(row["id"]) for row in claimed} == {original.job(1), original.job(2)}


def test_what_their_workers_left_is_rescued_after_ten_minutes(db: Connection) -> None:
    rescued = db.execute("select id, status from rescue_stuck_jobs()").fetchall()
    assert [(str(row["id"]), row["status"]) for row in rescued] == [(original.job(3), "pending")]
    # One that is running is completed by whoever runs it.
    db.execute("select complete_job(%s)", [original.job(4)])
    ended = one(
        db, "select status, image_url from image_generations where id = %s", original.generation(4)
    )
    assert ended["status"] == "completed"


@pytest.mark.parametrize("number", [1, 2, 4])
def test_cancelling_reaches_generations_of_theirs(db: Connection, number: int) -> None:
    db.execute("select cancel_jobs('me', array[%s::uuid])", [original.job(number)])
    ended = one(
        db, "select status from image_generations where id = %s", original.generation(number)
    )
    assert ended == {"status": "cancelled"}


def test_a_user_without_a_profile_may_start_and_other_columns_are_filled(db: Connection) -> None:
    started = one(
        db,
        "select start_generation(%s, 'A fox', %s, %s) as it",
        original.WITHOUT_PROFILE,
        SCHNELL,
        '{"width": 512, "height": 768, "num_inference_steps": 2, "seed": 1}',
    )["it"]
    row = one(
        db,
        "select status, model, width, height, steps from image_generations where id = %s",
        started["generation_id"],
    )
    assert list(row.values()) == ["queued", SCHNELL, 512, 768, 2]
    made = one(db, "select * from start_self_test(gen_random_uuid(), 'nobody/nothing')")
    assert made["job_id"]


def test_history_shows(db: Connection) -> None:
    while one(db, "select refresh_rollup() as more")["more"]:
        pass
    ended = db.execute(
        "select status, sum(jobs) as n"
        " from job_stats_parts(now() - interval '50 days', now(), 'day')"
        " group by 1 order by 1"
    ).fetchall()
    assert [(row["status"], row["n"]) for row in ended] == [
        ("cancelled", 1),
        ("completed", 2),
        ("failed", 1),
    ]
    timed = db.execute("select model_id from model_timings").fetchall()
    assert [row["model_id"] for row in timed] == [SCHNELL]
    [failure] = db.execute("select * from failure_groups").fetchall()
    assert "it broke" in str(failure)
    images = one(
        db, "select images(g) as it from image_generations g where id = %s", original.generation(5)
    )["it"]
    assert images[0]["url"] == f"https://example.com/{original.generation(5)}.webp"


def test_their_models_are_ours_too(db: Connection) -> None:
    rows = db.execute(
        "select id, display_name, enabled, category, version is not null as pinned,"
        " default_parameters ->> 'width' as width from models"
        " where category is not null order by id"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        (SCHNELL, "Flux Schnell", True, "fast", False, None),
        ("somebody/own-model", "Ours", True, "own", True, "768"),
    ]
    started = "select start_generation(%s, 'A fox', %s, '{}')"
    for row in rows:
        db.execute(started, [original.WITH_PROFILE, row["id"]])


@pytest.mark.parametrize(
    "hide",
    [
        "revoke select on models from anon, authenticated;"
        " grant select (id, name, replicate_id) on models to authenticated",
        'drop policy "Models are public" on models;'
        " create policy own on models for select to service_role using (true)",
    ],
    ids=["privileges", "row-level security"],
)
def test_columns_of_models_that_users_could_not_read_stay_private(
    conn: Connection, hide: str
) -> None:
    conn.execute("alter table models add column cost text default 'secret'")
    conn.execute(hide.encode())
    apply(conn)
    columns = conn.execute(
        "select attname::text as name from pg_attribute where attrelid = 'models'::regclass"
    ).fetchall()
    assert {"name": "cost"} not in columns
    assert ({"name": "replicate_id"} in columns) == ("grant" in hide)
    assert one(conn, "select cost from before_darkroom.models limit 1") == {"cost": "secret"}


def test_their_policies_and_rights_stay(db: Connection) -> None:
    policies = db.execute(
        "select policyname as name, qual from pg_policies where tablename = 'image_generations'"
        " order by 1"
    ).fetchall()
    assert [row["name"] for row in policies] == [
        "Service role has full access",
        "Users can change what is not done",
        "Users can view their own generations",
    ]
    assert "status <> 'completed'::text" in policies[1]["qual"]
    view = one(
        db,
        "select reloptions, obj_description(oid) as comment,"
        " has_table_privilege('authenticated', oid, 'select') as may,"
        " has_table_privilege('anon', oid, 'select') as may_not"
        " from pg_class where relname = 'gallery'",
    )
    assert list(view.values()) == [["security_invoker=true"], "What users see.", True, False]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            "create materialized view all_prompts as select prompt from image_generations",
            "The materialized view all_prompts reads columns of public.image_generations",
        ),
        (
            "alter table image_generations add column words tsvector"
            " generated always as (to_tsvector('english', prompt)) stored",
            "cannot alter type of a column used by a generated column",
        ),
        (
            "create function no_guests() returns trigger language plpgsql as"
            " $$ begin if new.user_id is null then raise 'no guests'; end if; return new; end $$;"
            "create trigger no_guests before insert on image_generations"
            " for each row execute function no_guests()",
            "public.image_generations rejects what Darkroom writes: no guests (in no_guests())",
        ),
    ],
    ids=["materialized view", "generated column", "trigger"],
)
def test_what_cannot_be_changed_is_reported_and_all_goes_on(
    conn: Connection, change: str, problem: str
) -> None:
    conn.execute(change.encode())
    with pytest.raises(MigrationError) as caught:
        apply(conn)
    assert problem in str(caught.value)
    original.use(conn)


def test_a_status_of_an_enum_type_with_all_that_reads_it(conn: Connection) -> None:
    """Its views, policies, triggers, indexes and defaults."""
    conn.execute(
        """
        drop view queue_health, failed_jobs_recent, stuck_jobs;
        create type job_status as
            enum ('pending', 'processing', 'completed', 'failed', 'cancelled');
        drop index job_queue_pending_idx;
        alter table job_queue drop constraint job_queue_status_check;
        alter table job_queue alter status drop default;
        alter table job_queue alter status type job_status using status::job_status;
        alter table job_queue alter status set default 'pending';
        create index waiting on job_queue (created_at) where status = 'pending';
        create view queue_health as select job_type from job_queue where status = 'failed';
        create view failed_jobs_recent as select id, error_message from job_queue
            where status in ('failed', 'cancelled');
        create view stuck_jobs as select id, started_at from job_queue
            where status = 'processing'::job_status;
        create policy own on job_queue for update
            using (status = 'pending' and auth.uid() = created_by);
        create trigger ended before update on job_queue for each row
            when (new.status = 'completed') execute function set_updated_at();
        """
    )
    apply(conn)
    original.use(conn)
    kept = one(
        conn,
        "select pg_get_viewdef('before_darkroom.stuck_jobs'::regclass) as view,"
        " pg_get_indexdef('waiting'::regclass) as index, (select count(*)"
        " from pg_trigger where tgname = 'ended' and tgenabled = 'O') as triggers",
    )
    assert "'processing'::text" in kept["view"]
    assert "'pending'::text" in kept["index"]
    assert kept["triggers"] == 1


def test_a_lock_that_is_held_stops_it_instead_of_the_queue(
    empty_database: str,
) -> None:
    with connect(empty_database) as conn, connect(empty_database) as other:
        original.make(conn)
        with other.transaction():
            other.execute("select from job_queue limit 1")
            conn.execute("set lock_timeout = '100ms'")
            with pytest.raises(MigrationError, match="lock timeout"):
                apply(conn)
        original.use(conn)
