"""The self-test: green on a deployment that works, red with the right repair elsewhere."""

import asyncio
import json
from dataclasses import replace
from uuid import uuid4

import pytest
from selftest_report import check, statuses
from supabase_project import auth_refusal

from lib.checks.selftest import realtime
from lib.checks.selftest.catalogue import CHECKS, CLEAN_UP
from lib.checks.selftest.runner import CannotRun, SelfTest
from lib.settings.keys import Keys

ALL = {entry.name for entry in (*CHECKS, CLEAN_UP)}


def rows(db):
    """How many rows each table has, but for the audit log and the samples of each minute."""
    # What was deleted leaves the rollups with the next refresh.
    while db.execute("select public.refresh_rollup() as more").fetchone()["more"]:
        pass
    tables = db.execute(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables"
        " where schemaname in ('public', 'auth')"
        " and tablename not in ('audit_log', 'queue_samples')"
    ).fetchall()
    return {
        table["name"]: db.execute(f"select count(*) from {table['name']}").fetchone()["count"]  # noqa: S608
        for table in tables
    }


def put_back(db, repair):
    """Runs the SQL of a repair, as an operator who copies it would."""
    db.execute(repair.partition("\n\n")[2].encode())


def test_all_green_and_nothing_left(deployment, db):
    before = rows(db)
    report = deployment.run()
    assert statuses(report) == {"passed": ALL}
    assert report["outcome"] == "passed"
    assert rows(db) == before
    assert list(deployment.settings.images.iterdir()) == []
    assert db.execute("select * from public.verify_rollup()").fetchall() == []
    started, logged = db.execute(
        "select actor, action, details from public.audit_log order by id"
    ).fetchall()
    assert (started["actor"], started["action"]) == ("tester", "start_self_test")
    assert (logged["actor"], logged["action"]) == ("tester", "self_test")
    assert started["details"]["run"] == report["run"]
    assert logged["details"]["report"] == report


@pytest.mark.parametrize(
    ("broken", "red", "skipped", "repair"),
    [
        pytest.param(
            "drop function public.claim_next_job",
            "schema",
            {"claim", "complete", "stuck-jobs"}
            | {"start-generation", "process-generation", "error-handling", "end-to-end"}
            | {"signed-in-user", "rate-limiting"},
            "create function public.claim_next_job(",
            id="function",
        ),
        pytest.param(
            "drop trigger image_generations_changed on public.image_generations",
            "realtime",
            set(),
            "create trigger image_generations_changed",
            id="realtime",
        ),
        pytest.param(
            "alter table public.image_generations disable trigger image_generations_changed",
            "realtime",
            set(),
            "create trigger image_generations_changed",
            id="realtime-disabled",
        ),
        pytest.param(
            'drop policy "Users can view their own jobs" on public.job_queue',
            "row-level-security",
            set(),
            'create policy "Users can view their own jobs" on public.job_queue',
            id="policy",
        ),
        pytest.param(
            'drop policy "Service role has full access" on public.image_generations',
            "row-level-security",
            set(),
            'create policy "Service role has full access" on public.image_generations',
            id="policy-of-service-role",
        ),
        pytest.param(
            "alter table public.job_queue disable row level security",
            "row-level-security",
            set(),
            "alter table public.job_queue enable row level security",
            id="row-security-off",
        ),
    ],
)
def test_red_with_the_sql_that_repairs_it(
    deployment, db, monkeypatch, broken, red, skipped, repair
):
    # Here nobody is kept waiting for what does not come.
    monkeypatch.setattr(realtime, "RECEIVE_SECONDS", 1.0)
    before = rows(db)
    db.execute(broken)
    report = deployment.run()
    assert statuses(report) == {"passed": ALL - {red} - skipped, "failed": {red}} | (
        {"skipped": skipped} if skipped else {}
    )
    assert repair in check(report, red)["repair"]
    assert rows(db) == before
    put_back(db, check(report, red)["repair"])
    assert "failed" not in statuses(deployment.run(red))


def test_a_stopped_worker_is_red_each_time(deployment, db, eventually):
    before = rows(db)
    deployment.stop_worker()
    stopped = "select from public.workers where stopped_at is not null"
    eventually(lambda: db.execute(stopped).fetchall())
    # The self-test's own call of process-jobs must not pass for a schedule.
    for _ in range(2):
        report = deployment.run()
        assert statuses(report) == {
            "passed": ALL - {"worker", "end-to-end"},
            "failed": {"worker"},
            "skipped": {"end-to-end"},
        }
        assert "python -m lib.worker" in check(report, "worker")["repair"]
        assert "A worker is alive" in check(report, "end-to-end")["came_back"]
    assert rows(db) == before


def test_a_policy_that_shows_too_much_is_red(deployment, db):
    db.execute(
        "create policy everybody on public.image_generations for select to authenticated"
        " using (user_id is not null)"
    )
    report = deployment.run("row-level-security")
    assert statuses(report)["failed"] == {"row-level-security"}
    assert "another user's row" in check(report, "row-level-security")["came_back"]


def test_a_changed_function_is_red_with_the_original(deployment, db):
    db.execute(
        "create or replace function public.get_user_limits(p_user_id uuid) returns jsonb"
        " return '{\"can_generate\": true}'::jsonb"
    )
    report = deployment.run("rate-limiting")
    assert statuses(report)["failed"] == {"rate-limiting"}
    put_back(db, check(report, "rate-limiting")["repair"])
    assert "failed" not in statuses(deployment.run("rate-limiting"))


def test_a_user_signs_in_at_the_project(deployment):
    deployment.over_supabase()
    report = deployment.run("rate-limiting")
    assert statuses(report).keys() == {"passed"}
    deployment.project.sign_in_answer = auth_refusal(
        422, "email_provider_disabled", "Email logins are disabled"
    )
    report = deployment.run("rate-limiting")
    assert statuses(report)["skipped"] == {"signed-in-user", "rate-limiting"}
    assert "with e-mail address and password" in check(report, "signed-in-user")["came_back"]
    deployment.project.sign_in_answer = auth_refusal(500, "unexpected_failure", "Oh")
    failed = check(deployment.run("signed-in-user"), "signed-in-user")
    assert failed["status"] == "failed"
    assert "belong to the same project" in failed["repair"]


def test_over_supabase_realtime(deployment, db):
    deployment.over_supabase()
    assert check(deployment.run("realtime"), "realtime")["status"] == "passed"
    db.execute("alter publication supabase_realtime drop table public.image_generations")
    failed = check(deployment.run("realtime"), "realtime")
    assert failed["status"] == "failed"
    put_back(db, failed["repair"])
    assert check(deployment.run("realtime"), "realtime")["status"] == "passed"


def test_a_missing_schema_is_one_red_check(deployment, empty_database):
    deployment.target = replace(deployment.target, database_url=empty_database)
    report = deployment.run()
    assert statuses(report)["failed"] == {"schema"}
    assert "python -m lib.database.migrations" in check(report, "schema")["repair"]


def test_wrong_keys_and_an_absent_app_say_what_to_set(deployment):
    working = deployment.target
    deployment.target = replace(working, keys=Keys("wrong", "wrong", "wrong"))
    report = deployment.run("start-generation", "process-jobs")
    assert "SUPABASE_SECRET_KEY" in check(report, "start-generation")["repair"]
    deployment.target = replace(working, functions_url="http://127.0.0.1:1")
    report = deployment.run("start-generation", "process-jobs")
    assert statuses(report)["failed"] == {"functions"}
    assert "DARKROOM_URL" in check(report, "functions")["repair"]


def test_a_paused_queue_is_no_fault(deployment, db):
    db.execute("select public.pause_queue('an operator')")
    report = deployment.run()
    assert "failed" not in statuses(report)
    assert "paused by an operator" in check(report, "claim")["came_back"]
    assert "paused by an operator" in check(report, "process-generation")["came_back"]


def test_two_runs_at_once_do_not_disturb_each_other(deployment, db):
    before = rows(db)

    async def both():
        tests = [SelfTest(deployment.target, "tester") for _ in range(2)]
        return await asyncio.gather(*(test.run() for test in tests))

    for report in asyncio.run(both()):
        assert statuses(report) == {"passed": ALL}
    assert rows(db) == before


def test_jobs_of_others_are_left_alone(deployment, db):
    db.execute("select public.enqueue_job('elsewhere', '{}') from generate_series(1, 3)")
    db.execute("select * from public.claim_next_job(array['elsewhere'])")
    db.execute(
        "update public.job_queue set started_at = now() - interval '1 hour' where attempts = 1"
    )
    db.execute("delete from public.job_leases")
    before = db.execute("select * from public.job_queue order by id").fetchall()
    stuck = next(job["id"] for job in before if job["attempts"])
    silenced = db.execute("select public.silence_self_test_job(%s) as it", [stuck]).fetchone()
    assert silenced["it"] is False
    assert statuses(deployment.run()) == {"passed": ALL}
    assert db.execute("select * from public.job_queue order by id").fetchall() == before


def test_leftovers_of_a_killed_run_are_removed_and_nothing_younger(deployment, db):
    before = rows(db)
    killed, living = uuid4(), uuid4()
    for run in (killed, living):
        db.execute("select public.start_self_test(%s, 'a/model')", [run])
        db.execute(
            "insert into auth.users (id, email, created_at)"
            " values (%(run)s, public.self_test_email(%(run)s), now())",
            {"run": run},
        )
    db.execute(
        "update public.image_generations set created_at = now() - interval '16 minutes'"
        " where prompt = public.self_test_prompt(%s)",
        [killed],
    )
    db.execute(
        "update auth.users set created_at = now() - interval '16 minutes' where id = %s", [killed]
    )
    # Not of a self-test, however old.
    db.execute(
        "insert into public.image_generations (prompt, model_id, source, created_at)"
        " values ('Darkroom', 'a/model', 'test', '2020-01-01')"
    )
    report = deployment.run("leftovers")
    assert check(report, "leftovers")["came_back"] == (
        "Removed from earlier runs: 1 generation, 1 job, 1 user."
    )
    db.execute("select public.remove_self_test(%s)", [living])
    assert rows(db) == before | {"public.image_generations": 1}


def test_an_interrupted_run_cleans_up(deployment, db):
    before = rows(db)

    async def interrupted():
        test = SelfTest(deployment.target, "tester")
        running = asyncio.create_task(test.run())
        limiting = next(r for r in test.results if r.check.name == "rate-limiting")
        while limiting.status == "waiting":  # noqa: ASYNC110
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return test.results

    results = asyncio.run(interrupted())
    assert {result.check.name: result.status for result in results}["clean-up"] == "passed"
    assert rows(db) == before


def test_a_database_that_is_away_cannot_be_tested(deployment):
    away = "postgresql://user:a-password@127.0.0.1:1/none"
    deployment.target = replace(deployment.target, database_url=away)
    with pytest.raises(CannotRun) as refused:
        deployment.run()
    assert "a-password" not in str(refused.value)


def test_no_secret_is_shown(deployment, db):
    keys = deployment.target.keys
    db.execute(
        "create or replace function public.self_test_prompt(p_run uuid) returns text"
        f" language plpgsql as $$ begin raise exception 'with {keys.secret}'; end $$"
    )
    text = json.dumps(deployment.run())
    assert "with [secret]" in text
    assert not any(secret in text for secret in (keys.secret, keys.jwt_secret))
