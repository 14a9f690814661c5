"""The points of the schedule, and its way back and forth in a rollback, with pg_cron itself."""

from functools import partial

import pytest

from lib.checks.deployment.catalogue import CHECKS
from lib.checks.deployment.facts import Facts, Reply
from lib.database import connect, load

URL = "https://project.example/functions/v1/process-jobs"
NOTHING = b"""
select cron.unschedule(jobid) from cron.job;
delete from cron.job_run_details;
delete from vault.secrets;
delete from public.workers;
"""
KEY = "insert into vault.secrets values ('darkroom_secret_key', 'sb_secret_a')"
SCHEDULE = "select public.schedule_process_jobs('Kim', '* * * * *', %s) as id"
RAN = (
    "insert into cron.job_run_details"
    " (jobid, job_pid, status, command, return_message, start_time, end_time)"
    " values (%s, 1, %s, 'a', %s, now() - %s::interval, now())"
)
ACTIVE = "select active from public.cron_jobs() where wakes_queue"


@pytest.fixture
def cron(cron_database):
    """A connection without any cron job, key or worker; what is done over it is undone."""
    with connect(cron_database) as conn, conn.transaction(force_rollback=True):
        conn.execute(NOTHING)
        yield conn


@pytest.fixture
def look(cron):
    """How a point comes out there."""
    queries = load("deployment")

    def ask(query):
        return getattr(queries, query)(cron)

    facts = Facts(
        ask, lambda: [], lambda: None, lambda: [], lambda function, with_key: Reply(function, 0, "")
    )
    looks = {check.name: partial(check.run, facts) for check in CHECKS}
    return lambda name: looks[name]()


def scheduled(cron):
    cron.execute(KEY)
    return cron.execute(SCHEDULE, [URL]).fetchone()["id"]


def test_nothing_wakes_the_queue_until_it_is_scheduled(cron, look):
    found = look("woken")
    assert found.open
    assert "pg_cron does not call process-jobs" in found.evidence
    cron.execute(KEY)
    _, _, sql = found.todo.partition("\n\n")
    cron.execute(sql.replace("https://jobs.example.com", "https://a.example").encode())
    found = look("woken")
    assert found.status == "ok"
    assert "pg_cron calls process-jobs: process-jobs (* * * * *)" in found.evidence


def test_paused_schedule_is_no_schedule(cron, look):
    job = scheduled(cron)
    cron.execute("select public.set_cron_job_active('Kim', %s, false)", [job])
    found = look("woken")
    assert found.open
    assert "its schedule is paused." in found.evidence


def test_key_is_missing_until_vault_or_a_setting_has_it(cron, look):
    found = look("cron-key")
    assert found.open
    assert "Cron cannot find a key named darkroom_secret_key." in found.evidence
    assert "select vault.create_secret('<the secret key>', 'darkroom_secret_key');" in found.todo
    cron.execute(KEY)
    found = look("cron-key")
    assert found.status == "ok"
    assert "sb_secret_a" not in found.evidence


def test_schedule_that_reads_a_key_of_another_name_is_told(cron, look):
    cron.execute(KEY)
    cron.execute(
        "select cron.schedule('by hand', '* * * * *', %s)",
        [f"select net.http_post(url := '{URL}', body := current_setting('app.settings.key'))"],
    )
    found = look("cron-key")
    assert found.open
    assert "app.settings.key" in found.evidence


def test_runs_must_succeed_and_be_recent(cron, look):
    job = scheduled(cron)
    assert "has not run yet" in look("cron-runs").evidence
    cron.execute(RAN, [job, "failed", "ERROR: no such thing", "2 minutes"])
    found = look("cron-runs")
    assert found.open
    assert "process-jobs: last run failed. ERROR: no such thing" in found.evidence
    cron.execute(RAN, [job, "succeeded", "1 row", "1 minute"])
    assert look("cron-runs").status == "ok"


def test_run_of_long_ago_is_told(cron, look):
    cron.execute(RAN, [scheduled(cron), "succeeded", "1 row", "5 hours"])
    assert "has not run for 5 h" in look("cron-runs").evidence


def test_schedule_that_pg_cron_misreads_is_told(cron, look):
    cron.execute(KEY)
    cron.execute(
        "select cron.schedule('six', '*/30 * * * * *', %s)",
        [f"select public.request_process_jobs('{URL}', 'darkroom_secret_key', 150)"],
    )
    found = look("cron-runs")
    assert found.open
    assert "six: six fields (*/30 * * * * *)" in found.evidence


def test_rollback_stops_the_schedule_and_starts_it_again(cron):
    scheduled(cron)
    resting = cron.execute("select cron.schedule('rests', '* * * * *', %s) as id", [f"-- {URL}"])
    cron.execute("select public.set_cron_job_active('Kim', %s, false)", [resting.fetchone()["id"]])
    queries = load("rollback")
    queries.start(cron, actor="Kim", reason="Wrong")
    rollback = queries.state(cron)["id"]
    assert queries.stop_cron(cron, actor="Kim", rollback=rollback) == 1
    state = queries.state(cron)
    assert (state["cron_active"], state["cron_stopped"]) == (0, 1)
    assert [row["active"] for row in cron.execute(ACTIVE)] == [False, False]
    # What rested before goes on resting.
    assert queries.restart_cron(cron, actor="Kim", rollback=rollback) == 1
    assert [row["active"] for row in cron.execute(ACTIVE)] == [True, False]
