"""The checklist: green on a fresh deployment, and each point red with the repair that mends it."""

import json
from dataclasses import replace

import pytest

from lib.checks.deployment.catalogue import CHECKS, MANUAL
from lib.checks.deployment.progress import tick
from lib.settings.keys import Keys

WORKER = (
    "insert into public.workers"
    " (id, kind, host, pid, process_started_at, version, job_types, concurrency)"
    " values (gen_random_uuid(), 'worker', 'box', 1, now(), '1', '{generate-image}', 1)"
)
BREAKS = {
    # id: the point, the SQL that breaks it, what its evidence and its repair then say
    "table": (
        "tables",
        "drop table public.model_holds cascade",
        "model_holds is missing",
        "create table",
    ),
    "column": (
        "tables",
        "alter table public.job_queue drop column priority cascade",
        "job_queue lacks the column priority",
        "add column priority integer not null default 0;",
    ),
    "column of a later migration": (
        "tables",
        "alter table public.models drop column price_per_image",
        "models lacks the column price_per_image",
        "add column price_per_image numeric(10,5)",
    ),
    "type": (
        "tables",
        "drop view public.queue_state, public.queue_pace;"
        "drop trigger job_queue_bounds on public.job_queue;"
        "alter table public.job_queue alter column scheduled_at type timestamptz(0)",
        "job_queue.scheduled_at is timestamp(0) with time zone, not timestamp with time zone",
        "alter column scheduled_at type timestamp with time zone",
    ),
    "function": (
        "functions",
        "drop function public.resume_queue",
        "function resume_queue is missing",
        "function public.resume_queue(",
    ),
    "function changed by hand": (
        "functions",
        "create or replace function public.require_actor(p_actor text) returns void"
        " language plpgsql set search_path = '' as $$ begin end $$",
        "function require_actor has been changed",
        "create or replace function public.require_actor(",
    ),
    "options of a function": (
        "functions",
        "alter function public.enqueue_job reset all",
        "function enqueue_job has been changed",
        "set search_path = ''",
    ),
    "view": (
        "views",
        "drop view public.stuck_jobs cascade",
        "view stuck_jobs is missing",
        "create view public.stuck_jobs",
    ),
    "view of its owner": (
        "views",
        "alter view public.queue_health set (security_invoker = off)",
        "queue_health bypasses row-level security",
        "security_invoker = true",
    ),
    "trigger": (
        "triggers",
        "drop trigger job_queue_legal_transition on public.job_queue",
        "trigger job_queue_legal_transition on job_queue is missing",
        "create trigger job_queue_legal_transition",
    ),
    "trigger disabled": (
        "triggers",
        "alter table public.image_generations disable trigger image_generations_changed",
        "image_generations_changed on image_generations is disabled",
        "enable trigger image_generations_changed;",
    ),
    "row security off": (
        "row-security",
        "alter table public.audit_log disable row level security",
        "row-level security of audit_log is off",
        "alter table public.audit_log enable row level security;",
    ),
    "policy of users": (
        "row-security",
        'drop policy "Users can view their own generations" on public.image_generations',
        'policy "Users can view their own generations" on image_generations is missing',
        "create policy",
    ),
    "policy of the service": (
        "row-security",
        'drop policy "Service role has full access" on public.workers',
        'policy "Service role has full access" on workers is missing',
        "to service_role using (true)",
    ),
    "service without a right": (
        "grants",
        "revoke update on public.job_queue from service_role",
        "service_role may not update job_queue",
        "grant select, insert, update, delete on public.job_queue to service_role;",
    ),
    "users with a right": (
        "grants",
        "grant select, delete on public.job_queue to anon",
        "anon may delete job_queue",
        "revoke all on public.job_queue from public, anon;",
    ),
    "everybody with a right": (
        "grants",
        "grant select on public.audit_log to public",
        "anon may select audit_log",
        "revoke all on public.audit_log from public, anon;",
    ),
    "history that can be changed": (
        "grants",
        "grant delete on public.audit_log to service_role",
        "service_role may delete audit_log",
        "grant select, insert on public.audit_log to service_role;",
    ),
    "function for everybody": (
        "grants",
        "grant execute on function public.cancel_jobs to public",
        "anon and authenticated may run cancel_jobs",
        "revoke execute on function public.cancel_jobs(p_actor text, p_job_ids uuid[],"
        " p_running boolean)",
    ),
    "function for nobody": (
        "grants",
        "revoke execute on function public.claim_jobs from service_role",
        "service_role may not run claim_jobs",
        "grant execute on function public.claim_jobs(",
    ),
    "function of the owner alone": (
        "grants",
        "grant execute on function public.net_responses to service_role",
        "service_role may run net_responses",
        "revoke execute on function public.net_responses(p_since timestamp with time zone)",
    ),
    "function of the owner alone is missing": (
        "functions",
        "drop function public.net_responses",
        "function net_responses is missing",
        "revoke execute on function public.net_responses(p_since timestamp with time zone) from",
    ),
    "limits hidden from users": (
        "grants",
        "revoke execute on function public.get_user_limits from authenticated",
        "authenticated may not run get_user_limits",
        "to authenticated, service_role;",
    ),
    "publication": (
        "realtime",
        "drop publication supabase_realtime",
        "supabase_realtime is missing",
        "create publication supabase_realtime;",
    ),
    "publication without the table": (
        "realtime",
        "alter publication supabase_realtime drop table public.image_generations",
        "does not include image_generations",
        "add table public.image_generations;",
    ),
    "publication without jobs": (
        "realtime",
        "alter publication supabase_realtime drop table public.job_queue",
        "does not include job_queue",
        "add table public.job_queue;",
    ),
    "publication without updates": (
        "realtime",
        "alter publication supabase_realtime set (publish = 'insert')",
        "publishes no changes",
        "set (publish =",
    ),
    "stuck": (
        "no-stuck",
        "insert into public.job_queue (job_type, status, attempts, started_at)"
        " values ('a', 'processing', 1, now() - interval '2 hours')",
        "1 job stuck: no heartbeat for 2 h",
        "public.reset_stuck_jobs(",
    ),
}


def test_fresh_deployment_is_all_green(served):
    served.db.execute(WORKER)
    served.db.execute(
        "select public.record_action('me', 'self_test', '{}', %s)",
        [json.dumps({"report": {"outcome": "passed", "checks": []}})],
    )
    seen = served.look()
    assert {n: f for n, f in seen.findings.items() if f.open} == {}
    assert seen.findings.keys() == {check.name for check in CHECKS}
    assert all(found.evidence for found in seen.findings.values())
    # Without pg_cron nothing needs its key or its runs.
    assert {n for n, f in seen.findings.items() if f.status == "not_applicable"} == {
        "cron-key",
        "cron-runs",
    }


@pytest.mark.parametrize(("point", "breaks", "evidence", "repair"), BREAKS.values(), ids=BREAKS)
def test_broken_is_red_with_its_repair_and_then_green(deployed, point, breaks, evidence, repair):
    assert deployed.finding(point).status == "ok"
    deployed.db.execute(breaks.encode())
    found = deployed.finding(point)
    assert found.open
    assert evidence in found.evidence
    assert repair in found.todo
    deployed.repair(point)
    assert deployed.finding(point).status == "ok"


def test_function_put_back_is_open_to_nobody_else(deployed):
    deployed.db.execute("drop function public.net_responses, public.get_user_limits")
    deployed.repair("functions")
    assert deployed.finding("grants").status == "ok"


def test_table_put_back_is_secured_and_open_to_nobody_else(deployed):
    deployed.db.execute("drop table public.model_holds cascade")
    deployed.repair("tables")
    findings = deployed.look().findings
    assert all(findings[name].status == "ok" for name in ("tables", "row-security", "grants"))


def test_own_tables_of_the_project_are_nobodys_business(deployed):
    deployed.db.execute(
        "create table public.profiles (id int); grant all on public.profiles to anon"
    )
    findings = deployed.look().findings
    assert all(findings[name].status == "ok" for name in ("tables", "row-security", "grants"))


def test_foreign_column_of_the_queue_is_told_and_not_dropped(deployed):
    deployed.db.execute("alter table public.job_queue add column tenant text")
    found = deployed.finding("tables")
    assert found.open
    assert "job_queue has an unknown column tenant" in found.evidence
    assert "-- alter table public.job_queue drop column tenant;" in found.todo


def test_functions_that_do_not_answer(deployed):
    found = deployed.finding("functions-answer")
    assert found.open
    assert "No response from start-generation: ConnectError" in found.evidence
    assert "streamlit run app.py" in found.todo
    assert "No response from" in deployed.finding("key-accepted").evidence


def test_functions_with_another_key(served):
    assert served.finding("key-accepted").status == "ok"
    keys = Keys("sb_publishable_a", "sb_secret_another", "b")
    found = replace(served, target=replace(served.target, keys=keys)).finding("key-accepted")
    assert found.open
    assert "HTTP 401 for the secret key" in found.evidence
    assert "SUPABASE_SECRET_KEY" in found.todo
    assert served.db.execute("select from public.workers").fetchall() == []


@pytest.mark.parametrize(
    ("more_settings", "evidence"),
    [
        ({}, "Only signed-in users and the secret key can start generations."),
        ({"DARKROOM_ANONYMOUS_STARTS": "1"}, "Anyone with the publishable key"),
    ],
)
def test_who_starts_generations_without_signing_in(served, evidence):
    found = served.finding("anonymous-starts")
    assert (found.status, evidence in found.evidence) == ("ok", True)
    assert served.db.execute("select from public.job_queue").fetchall() == []


def test_who_starts_generations_is_not_known_without_functions(deployed):
    assert deployed.finding("anonymous-starts").status == "not_applicable"


def test_nobody_works(deployed):
    found = deployed.finding("woken")
    assert found.open
    assert "No worker alive. pg_cron is not installed." in found.evidence
    assert "python -m lib.worker" in found.todo
    deployed.db.execute(WORKER)
    assert "1 worker alive on box" in deployed.finding("woken").evidence
    deployed.db.execute("update public.workers set last_seen_at = now() - interval '2 minutes'")
    assert deployed.finding("woken").open


def test_failed_jobs_of_the_last_day(deployed):
    assert deployed.finding("no-failed").status == "ok"
    deployed.db.execute(
        "insert into public.job_queue (job_type, status, attempts, completed_at)"
        " select 'a', 'failed', 1, now() - age from (values (interval '23 hours'),"
        " (interval '3 minutes'), (interval '25 hours')) as f (age)"
    )
    deployed.db.execute(
        "insert into public.job_queue (job_type, status, attempts, completed_at, error_details)"
        """ values ('a', 'failed', 1, now(), '{"code": "refused"}')"""
    )
    found = deployed.finding("no-failed")
    assert found.open
    assert found.evidence.startswith("2 failed, 1 refused in the last 24 hours, the newest 3 min ")
    assert found.page == "failures"


@pytest.mark.parametrize(
    ("report", "age", "done", "said"),
    [
        ({"outcome": "passed", "checks": []}, "1 hour", True, "The self-test passed 1 h"),
        ({"outcome": "passed", "checks": []}, "8 days", False, "passed 8 d"),
        (
            {"outcome": "failed", "checks": [{"title": "A job", "status": "failed"}]},
            "1 hour",
            False,
            "(run by me): A job.",
        ),
    ],
)
def test_the_last_self_test_decides(deployed, report, age, done, said):
    assert deployed.finding("end-to-end").evidence == "The self-test has not run yet."
    deployed.db.execute(
        "insert into public.audit_log (at, actor, action, affected, details)"
        " values (now() - %s::interval, 'me', 'self_test', 0, %s)",
        [age, json.dumps({"report": report})],
    )
    found = deployed.finding("end-to-end")
    assert found.open is not done
    assert said in found.evidence
    assert found.page == "self_test"


def test_it_is_kept_since_when_a_point_is_done(deployed):
    first = deployed.look().records["tables"]
    assert first.done
    assert first.last_done_at == first.since
    deployed.db.execute("alter table public.models drop column price_per_image")
    broken = deployed.look().records["tables"]
    assert not broken.done
    assert broken.since > first.since
    assert broken.last_done_at == first.since
    deployed.repair("tables")
    assert deployed.look().records["tables"].since > broken.since


def test_nothing_is_written_while_nothing_changes(deployed):
    rows = "select xmin::text, name from public.deployment_points order by name"
    deployed.look()
    before = deployed.db.execute(rows).fetchall()
    deployed.look()
    assert deployed.db.execute(rows).fetchall() == before


def test_people_tick_what_only_they_can_judge(deployed):
    name = MANUAL[0].name
    assert not deployed.look().ticked(name)
    tick(deployed.pool, "Kim", name, True)
    seen = deployed.look()
    assert seen.ticked(name)
    assert seen.records[name].ticked_by == "Kim"
    tick(deployed.pool, "Robin", name, False)
    seen = deployed.look()
    assert not seen.ticked(name)
    assert seen.records[name].last_done_at is not None
    logged = deployed.db.execute(
        "select actor, details from public.audit_log where action = 'tick_deployment_point'"
        " order by id"
    ).fetchall()
    assert [(row["actor"], row["details"]) for row in logged] == [
        ("Kim", {"point": name, "before": False, "after": True}),
        ("Robin", {"point": name, "before": True, "after": False}),
    ]


def test_no_secret_is_in_what_is_shown(served):
    target, said = served.target, []
    for found in served.look().findings.values():
        said += [found.evidence, found.todo]
    for secret in (target.keys.secret, target.keys.jwt_secret, target.database_url):
        assert not any(secret in text for text in said)
