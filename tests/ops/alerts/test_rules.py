"""Each rule fires by its cause and is over when that is mended; none fires on a healthy queue."""

import pytest
from causes import CAUSES, Queue

from lib.database import QueryError, connect, translated

RAN = (
    "insert into cron.job_run_details (jobid, job_pid, command, status, start_time, end_time)"
    " values (%s, 1, 'select 1', %s, now(), now()) returning runid"
)
OPEN = (
    "select count(*) from public.alerts"
    " where rule = %s and subject = %s and fired_at is not null and resolved_at is null"
)


def test_every_rule_has_a_cause_here(db):
    rules = {row["rule"] for row in db.execute("select rule from public.alert_rules")}
    assert rules == {cause.rule for cause in CAUSES}


def test_nothing_fires_while_all_is_well(db, queue, evaluate):
    queue.complete(20)
    queue.fail()
    queue.enqueue(50)
    queue.claim()
    evaluate("")
    assert db.execute("select * from public.alerts").fetchall() == []


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.rule)
def test_fires_once_and_is_over_when_mended(queue, evaluate, change_rule, cause):
    change_rule(cause.rule, for_seconds=0)
    assert evaluate(cause.rule) == []
    cause.provoke(queue)
    [fired] = evaluate(cause.rule)
    subject = cause.subject if isinstance(cause.subject, str) else cause.subject(queue)
    assert fired["subject"] == subject
    assert fired["fired_at"]
    assert fired["resolved_at"] is None
    [still] = evaluate(cause.rule)
    assert (still["id"], still["resolved_at"]) == (fired["id"], None)
    cause.mend(queue)
    [over] = evaluate(cause.rule)
    assert over["id"] == fired["id"]
    assert over["resolved_at"]
    assert over["worst"] >= fired["value"]
    assert len(evaluate(cause.rule)) == 1


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.rule)
def test_is_silent_once_switched_off(queue, evaluate, change_rule, cause):
    change_rule(cause.rule, for_seconds=0)
    cause.provoke(queue)
    assert len(evaluate(cause.rule)) == 1
    change_rule(cause.rule, for_seconds=0, enabled=False)
    [over] = evaluate(cause.rule)
    assert over["resolved_at"]
    assert len(evaluate(cause.rule)) == 1


def test_too_few_jobs_say_nothing_of_a_share(queue, evaluate):
    queue.fail(9)
    assert evaluate("failure_rate") == []
    queue.fail()
    assert len(evaluate("failure_rate")) == 1


def test_users_raise_no_alarm_with_jobs_that_nobody_runs(queue, evaluate, change_rule):
    for rule in ("oldest_pending", "no_completion"):
        change_rule(rule, for_seconds=0)
    queue.complete()
    queue.back("job_queue", "completed_at", 600)
    enqueue = "select public.enqueue_job(%s, '{}', 0, now() - interval '1 hour')"
    queue.one(enqueue, "download-image")
    assert evaluate("oldest_pending") == evaluate("no_completion") == []
    queue.one(enqueue, "misspelled")
    assert [len(evaluate(rule)) for rule in ("oldest_pending", "no_completion")] == [1, 1]


def test_runs_of_pg_cron_that_fail_in_a_row(cron_database):
    with connect(cron_database) as conn, conn.transaction(force_rollback=True):
        queue = Queue(conn)
        job = queue.one("select cron.schedule('nightly', '0 4 1 1 *', 'select 1')")
        for status, alerts in (("failed", 0), ("failed", 0), ("failed", 1)):
            queue.one(RAN, job, status)
            queue.one("select public.evaluate_alerts()")
            assert queue.one(OPEN, "cron_failing", "nightly") == alerts
        queue.one(RAN, job, "succeeded")
        queue.one("select public.evaluate_alerts()")
        assert queue.one(OPEN, "cron_failing", "nightly") == 0


def test_a_function_that_answers_with_errors_although_pg_cron_is_content(cron_database):
    asked = (
        "update cron.job_run_details set command = 'select net.http_post()', job_pid = %s"
        " where runid = %s",
        "insert into public.cron_requests (request_id, pid, requested_at) values (%s, %s, now())",
        "insert into net._http_response (id, status_code, timed_out) values (%s, %s, false)",
    )
    with connect(cron_database) as conn, conn.transaction(force_rollback=True):
        queue = Queue(conn)
        job = queue.one("select cron.schedule('wake', '0 4 1 1 *', 'select net.http_post()')")
        for request, (status, alerts) in enumerate([(401, 0), (401, 0), (401, 1), (200, 0)], 1):
            run = queue.one(RAN, job, "succeeded")
            values = ([request, run], [request, request], [request, status])
            for statement, parameters in zip(asked, values, strict=True):
                conn.execute(statement, parameters)
            queue.one("select public.evaluate_alerts()")
            assert queue.one(OPEN, "cron_failing", "wake") == alerts


def test_each_subject_has_its_own_alert(queue, evaluate):
    for provider in ("one", "two"):
        for _ in range(5):
            queue.one("select public.record_provider_failure(%s, 'No.')", provider)
        evaluate("provider_down")
    queue.one("select public.record_provider_success('one')")
    assert {row["subject"]: bool(row["resolved_at"]) for row in evaluate("provider_down")} == {
        "one": True,
        "two": False,
    }


def test_a_long_wait_is_over_once_nothing_is_pending(queue, evaluate, change_rule):
    change_rule("wait_p95", for_seconds=0)
    queue.complete(10, waited=90)
    assert evaluate("wait_p95") == []
    queue.enqueue()
    assert [alert["resolved_at"] for alert in evaluate("wait_p95")] == [None]
    queue.claim()
    [over] = evaluate("wait_p95")
    assert over["resolved_at"]


@pytest.mark.parametrize("barred", ["generate-image", "*"])
def test_what_must_wait_is_not_late(queue, evaluate, barred):
    queue.enqueue(waited=999)
    queue.one("select public.pause_queue('me', %s)", barred)
    assert evaluate("oldest_pending") == []
    queue.one("select public.resume_queue('me', %s)", barred)
    assert len(evaluate("oldest_pending")) == 1


def test_the_longest_wait_is_found_behind_priorities_and_barred_types(queue, evaluate):
    queue.enqueue(5, waited=9999)
    queue.one("select public.pause_queue('me', 'generate-image')")
    for priority, waited in ((9, 10), (0, 500), (-3, 20)):
        queue.one(
            "select public.enqueue_job('other', '{}', %s, now() - make_interval(secs => %s))",
            priority,
            waited,
        )
    [alert] = evaluate("oldest_pending")
    assert 500 <= alert["value"] < 600


def test_pending_jobs_are_not_all_counted(db, queue, evaluate):
    db.execute("insert into public.job_queue (job_type) select 'a' from generate_series(1, 10100)")
    [alert] = evaluate("pending_jobs")
    assert (alert["value"], alert["detail"]) == (10_000, {"at_least": True})


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity": "loud"},
        {"threshold": 0.1, "resolve_at": 0.2},
        {"resolve_at": -1},
        {"threshold": float("nan")},
        {"for_seconds": -1},
        {"minimum_jobs": None},
        {"minimum_jobs": 0},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(change_rule, wrong):
    with pytest.raises(QueryError), translated():
        change_rule("failure_rate", **wrong)


def test_a_changed_rule_is_recorded_with_what_was_before(db, change_rule):
    change_rule("stuck_jobs", threshold=5)
    row = db.execute("select * from public.audit_log").fetchone()
    assert (row["actor"], row["action"]) == ("me", "set_alert_rule")
    assert row["details"]["rule"] == "stuck_jobs"
    assert row["details"]["before"]["threshold"] == 0
    assert row["details"]["after"]["threshold"] == 5
