"""Performance declines: each cause is provoked, read, and repaired."""

from contextlib import closing

import pytest

from lib.checks.expected_schema import expected
from lib.database import connect

INDEXES = (
    "select i.relname as name, pg_get_indexdef(i.oid) as made from pg_index x"
    " join pg_class i on i.oid = x.indexrelid where not x.indisprimary and x.indrelid in"
    " ('job_queue'::regclass, 'image_generations'::regclass, 'job_leases'::regclass)"
)


def run(db, jobs, seconds, ago):
    """So many jobs of one model took so long, `ago` an interval."""
    db.execute(
        "insert into job_queue (job_type, payload, status, attempts, created_at, scheduled_at,"
        " started_at, completed_at)"
        " select 'generate-image', '{\"model_id\": \"a/b\"}', 'completed', 1, at, at, at,"
        " at + make_interval(secs => %s)"
        " from (select now() - %s::interval + n * interval '1 s' as at"
        " from generate_series(1, %s) n) j",
        [seconds, ago, jobs],
    )


def test_the_needed_indexes_are_those_that_the_migrations_leave(db):
    assert {row["name"] for row in db.execute(INDEXES).fetchall()} == expected()["index"].keys()


@pytest.mark.parametrize("name", ["job_queue_pending_idx", "image_generations_user_idx"])
def test_an_index_that_is_missing_is_built(page, db, name):
    before = {row["name"]: row["made"] for row in db.execute(INDEXES).fetchall()}
    db.execute(f"drop index {name}".encode())
    said = page.read("slow")
    assert f"Index {name} is missing or invalid." in said
    assert page.press(f"Build {name}") == f"{name} built."
    assert {row["name"]: row["made"] for row in db.execute(INDEXES).fetchall()} == before
    assert page.healthy("slow")


def test_an_index_whose_build_failed_is_built_again(page, db):
    db.execute(
        "update pg_index set indisvalid = false where indexrelid = 'job_queue_failed_idx'::regclass"
    )
    assert "Index job_queue_failed_idx is missing or invalid." in page.read("slow")
    page.press("Build job_queue_failed_idx")
    assert page.healthy("slow")


def test_a_table_that_vacuum_forgot_is_vacuumed(page, db, eventually):
    db.execute("alter table job_queue set (autovacuum_enabled = false)")
    db.execute("insert into job_queue (job_type) select 'a' from generate_series(1, 1500)")
    for _ in range(3):
        db.execute("update job_queue set priority = priority + 1")
    db.execute("delete from job_queue")
    db.execute("select pg_stat_force_next_flush()")
    said = page.read("slow")
    assert "Vacuum is not keeping up with job_queue." in said
    assert "6,000 dead and 0 live rows; autovacuum should have started at 1,000 dead rows." in said
    assert page.press("Vacuum job_queue") == "Vacuum of job_queue started."
    eventually(lambda: page.healthy("slow"))


def test_a_transaction_that_was_forgotten_is_ended(page, db, database, eventually):
    with closing(connect(database, application_name="a <b>forgetful</b> program")) as other:
        other.execute("begin")
        other.execute("select from job_queue")
        pid = other.info.backend_pid
        assert page.healthy("slow")
        # As if five minutes had passed.
        db.execute(
            "create or replace function forgotten_after() returns interval language sql immutable"
            " set search_path = '' return interval '0'"
        )
        said = page.read("slow")
        assert "A transaction has been open for" in said
        assert f"Session {pid}, a <b>forgetful</b> program as postgres, idle for" in said
        assert page.press(f"End session {pid}") == "Session ended."
        eventually(lambda: page.healthy("slow"))
    [record] = db.execute("select details from audit_log where action = 'end_session'").fetchall()
    assert record["details"]["pid"] == pid


def test_history_that_is_not_folded_is_folded(page, db):
    run(db, 30, 2, "2 hours")
    said = page.read("slow")
    assert "Pages are slow because the rollup is behind." in said
    assert "The oldest job not yet in the rollup ended 1 h 59 min ago." in said
    # The first refresh only notes the time from which on it is safe to fold.
    while page.press("Update rollup") and not page.healthy("slow"):
        pass
    assert db.execute("select sum(jobs)::int as n from job_rollup").fetchone()["n"] == 30


def test_a_backlog_that_grows_is_told_with_its_pace(page, db):
    db.execute("select enqueue_job('a', '{}') from generate_series(1, 7)")
    db.execute("update job_queue set scheduled_at = now() - interval '6 minutes'")
    said = page.read("slow")
    assert "More jobs arrive than workers finish." in said
    assert "7 jobs arrived and 0 ended in the last hour; 7 due, the oldest for 6 min" in said
    db.execute("select complete_job(id) from claim_jobs(7)")
    assert page.healthy("slow")


def test_a_model_that_has_become_slower_is_named(page, db):
    run(db, 60, 2, "3 days")
    run(db, 60, 5, "1 hour")
    db.execute("select rebuild_rollup()")
    db.execute("select refresh_rollup()")
    said = page.read("slow")
    assert "Model a/b has become slower." in said
    assert "p50 run time is 5." in said or "p50 run time is 4." in said
    run(db, 300, 2, "50 minutes")
    db.execute("select rebuild_rollup()")
    assert page.healthy("slow")
