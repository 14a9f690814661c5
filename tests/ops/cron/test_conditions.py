"""What is wrong with who works and what wakes the queue, from the page's own queries."""

from datetime import UTC, datetime

from cron_calls import BY_HAND, KEY, URL, one, ran, schedule

from lib.checks.cron_jobs import explain
from lib.checks.worker_schedule import worker_schedule
from lib.checks.workers_and_cron import conditions
from lib.database import load
from lib.settings import parse


def found(conn):
    """Names, levels and sentences of what is wrong."""
    cron, workers = load("cron"), load("workers")
    now = one(conn, "select clock_timestamp()")
    return [
        (each.name, each.level, each.reason)
        for each in conditions(
            workers.workers(conn),
            cron.jobs(conn),
            cron.runs(conn, job_id=None, before=None, most=200),
            cron.environment(conn),
            now,
        )
    ]


def names(conn):
    return [name for name, _, _ in found(conn)]


def worker(conn, *, silent=0, stopped=None, kind="worker", jobs=0):
    """A worker that was seen and stopped so many minutes ago, with jobs in hand."""
    worker_id = one(
        conn,
        "insert into workers (id, kind, host, pid, process_started_at, version, job_types,"
        " concurrency, last_seen_at, stopped_at) values (gen_random_uuid(), %s, 'host', 7, now(),"
        " '1', '{a}', 4, now() - make_interval(mins => %s), now() - make_interval(mins => %s))"
        " returning id",
        kind,
        silent,
        stopped,
    )
    conn.execute(
        "with jobs as ("
        "  insert into job_queue (job_type, status, attempts, started_at)"
        "  select 'a', 'processing', 2, now() - n * interval '1 minute'"
        "  from generate_series(1, %s) n returning id, started_at"
        ") insert into job_leases (job_id, attempt, worker_id, heartbeat_at)"
        " select id, 2, %s, started_at from jobs",
        [jobs, worker_id],
    )
    return worker_id


def listed(conn):
    rows = load("workers").workers(conn)
    return [(row["state"], row["holds"]) for row in rows]


def test_workers_are_told_apart_by_their_signs_and_what_they_hold(db):
    worker(db, jobs=2)
    worker(db, silent=2)
    worker(db, silent=3, jobs=3)
    worker(db, silent=4, stopped=4)
    worker(db, silent=5, stopped=5, jobs=1)
    worker(db, silent=61)
    worker(db, silent=90, jobs=1)
    worker(db, kind="process-jobs")
    worker(db, kind="process-jobs", stopped=0)
    assert listed(db) == [
        ("lost", 3),
        ("lost", 1),
        ("lost", 1),
        ("alive", 0),
        ("alive", 2),
        ("no heartbeat", 0),
        ("stopped", 0),
    ]
    held = load("workers").held(db, most=3)
    assert [(row["attempt"], row["worker"], row["total"]) for row in held] == [
        (2, "host, pid 7", 7)
    ] * 3
    assert [call["state"] for call in load("workers").calls(db, most=9)] == ["ended", "running"]
    gone = [reason for name, _, reason in found(db) if name == "lost"]
    assert [reason.partition(" running.")[0] for reason in gone] == [
        "Worker lost on host (pid 7): no heartbeat for 3 min, with 3 jobs",
        "Worker lost on host (pid 7): stopped 5 min ago, with 1 job",
        "Worker lost on host (pid 7): no heartbeat for 1 h 30 min, with 1 job",
    ]


def test_storage_that_takes_no_images_is_said_once_for_each_reason(db):
    fails = (
        "update workers set storage_error = %s, storage_failed_at = now() - interval '5 minutes',"
        " blocked_types = '{a}', host = %s where id = %s"
    )
    for host, error in (("b", "Full."), ("a", "Full."), ("c", "Read-only.")):
        db.execute(fails, [error, host, worker(db)])
    db.execute(fails, ["Of a dead one.", "d", worker(db, silent=5)])
    worker(db)
    said = sorted(found(db))
    assert [(name, level) for name, level, _ in said] == [("storage", "critical")] * 2
    assert said[0][2].startswith(
        "Storage failing on a, b for 5 min; jobs that need it stay pending there. Full. Free up"
    )
    assert "on c for 5 min" in said[1][2]


def test_somebody_must_work_or_be_woken(with_key):
    conn = with_key
    conn.execute("delete from workers")
    [(_, level, reason)] = found(conn)
    assert level == "critical"
    assert "Nothing is running the queue. Schedule process-jobs" in reason
    job_id = one(conn, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    assert found(conn) == []
    one(conn, "select set_cron_job_active('me', %s, false)", job_id)
    [(name, _, reason)] = found(conn)
    assert name == "nobody"
    assert "is paused (process-jobs). Resume it" in reason
    worker(conn)
    assert found(conn) == []


def test_without_pg_cron_a_worker_is_what_is_missing(db):
    assert [reason for _, _, reason in found(db)] == [
        "No worker alive. Nothing is running the queue. Start a worker: python -m lib.worker"
    ]


def test_a_call_that_fails_is_found_although_pg_cron_is_content(with_key):
    conn = with_key
    job_id = one(conn, "select schedule_process_jobs('me', '0 4 1 1 *', %s)", URL)
    run = ran(conn, job_id, command="select net.http_post()")
    conn.execute(
        "insert into cron_requests select start_time, 1, job_pid from cron.job_run_details"
        " where runid = %s",
        [run],
    )
    conn.execute(
        "insert into net._http_response (id, status_code, timed_out, created)"
        " select 1, 401, false, start_time + interval '1 second' from cron.job_run_details"
        " where runid = %s",
        [run],
    )
    [(name, level, reason)] = found(conn)
    assert (name, level) == ("failing", "critical")
    assert "last run failed. HTTP 401. The function does not accept the key" in reason
    one(conn, "update net._http_response set status_code = 200 returning 1")
    assert found(conn) == []


def test_failing_runs_are_counted_with_their_message(cron):
    worker(cron)
    job_id = schedule(cron, "vacuum")
    ran(cron, job_id, "failed", message="ERROR:  a\n")
    assert found(cron) == [("failing", "critical", "Cron job by hand: last run failed. ERROR: a.")]
    ran(cron, job_id, "failed", message="ERROR:  b")
    assert found(cron) == [
        ("failing", "critical", "Cron job by hand: last 2 runs failed. ERROR: b.")
    ]


def test_a_schedule_that_nothing_follows_is_overdue_until_it_is_paused(cron):
    worker(cron)
    job_id = schedule(cron, "vacuum", "* * * * *")
    ran(cron, job_id)
    [(name, level, reason)] = found(cron)
    assert (name, level) == ("overdue", "critical")
    assert "by hand: no run for 1 h" in reason
    # What was due before a change is judged by another schedule, so it is not judged at all.
    one(cron, "select change_cron_job('me', %s, '*/2 * * * *')", job_id)
    assert found(cron) == []
    one(cron, "select change_cron_job('me', %s, '* * * * *')", job_id)
    cron.execute("update audit_log set at = at - interval '2 hours'")
    assert names(cron) == ["overdue"]
    one(cron, "select set_cron_job_active('me', %s, false)", job_id)
    cron.execute("update audit_log set at = at - interval '2 hours'")
    assert found(cron) == []


def test_a_daily_job_is_judged_only_as_far_back_as_runs_were_looked_at(cron):
    worker(cron)
    each_minute = schedule(cron, "vacuum", "* * * * *", name="each minute")
    cron.execute(
        "insert into cron.job_run_details (jobid, command, status, start_time, end_time)"
        " select %s, '', 'succeeded', at, at from generate_series("
        "  date_trunc('minute', now()) - interval '5 hours', now(), '1 minute') as at",
        [each_minute],
    )
    for hours_ago, overdue in ((10, []), (2, ["overdue"])):
        daily = one(
            cron,
            "select to_char((now() - make_interval(hours => %s)) at time zone 'GMT',"
            " 'FMMI FMHH24 * * *')",
            hours_ago,
        )
        job_id = schedule(cron, "vacuum", daily)
        one(cron, "select change_cron_job('me', %s, p_active => false)", job_id)
        one(cron, "select change_cron_job('me', %s, p_active => true)", job_id)
        cron.execute("update audit_log set at = at - interval '30 days'")
        assert names(cron) == overdue


def test_of_a_job_scheduled_elsewhere_that_never_ran_nobody_knows_since_when_it_is_due(cron):
    worker(cron)
    ran(cron, schedule(cron, "vacuum", "0 4 1 1 *", name="yearly"))
    schedule(cron, "vacuum", "* * * * *")
    assert found(cron) == []


def test_a_job_that_never_ran_since_it_was_scheduled_is_overdue(with_key):
    worker(with_key)
    one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    assert found(with_key) == []
    with_key.execute("update audit_log set at = at - interval '1 hour'")
    assert names(with_key) == ["overdue"]


def repairs(conn):
    cron = load("cron")
    there = cron.environment(conn)
    return [finding for job in cron.jobs(conn) for finding in explain(job, there)]


def test_the_repair_of_six_fields_repairs(cron):
    worker(cron)
    schedule(cron, "vacuum", "*/30 * * * * *")
    [finding] = repairs(cron)
    assert finding.status == "critical"
    assert (
        "reads only the first five of the 6 fields. This job runs: every 30 minutes"
        in finding.evidence
    )
    assert "“* * * * *”: every minute (seconds need pg_cron 1.5)" in finding.todo
    cron.execute(finding.todo.partition("\n\n")[2].replace("<your name>", "me"))
    assert one(cron, "select schedule from cron_jobs()") == "* * * * *"
    assert repairs(cron) == []


def test_the_repair_of_a_missing_key_repairs(with_key):
    one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    with_key.execute("delete from vault.secrets")
    [finding] = repairs(with_key)
    assert "reads the secret darkroom_secret_key, which does not exist" in finding.evidence
    with_key.execute(finding.todo.partition("\n\n")[2].replace("<the secret key>", KEY))
    assert repairs(with_key) == []


def test_the_repair_of_a_missing_setting_repairs(cron):
    schedule(cron, BY_HAND)
    [finding] = repairs(cron)
    assert "app.settings.service_role_key, which is not set" in finding.evidence
    cron.execute(finding.todo.partition("\n\n")[2].replace("<the secret key>", KEY))
    assert repairs(cron) == []


def test_the_repair_of_a_key_in_clear_is_a_schedule_of_ours(cron):
    too_short = "timeout_milliseconds := 2000"
    schedule(
        cron, f"""select net.http_post('{URL}', headers := '{{"apikey": "{KEY}"}}', {too_short})"""
    )
    clear, short = repairs(cron)
    assert (clear.status, short.status) == ("critical", "warning")
    assert "contains a key in plain text" in clear.evidence
    assert "waits 2.0 s for the response" in short.evidence
    cron.execute(clear.todo.partition("\n\n")[2].replace("<the secret key>", KEY))
    one(cron, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    assert repairs(cron) == []


def test_without_vault_the_repair_is_a_setting(with_key):
    one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    with_key.execute("drop schema vault cascade")
    [finding] = repairs(with_key)
    with_key.execute(finding.todo.partition("\n\n")[2].replace("<the secret key>", KEY))
    assert repairs(with_key) == []


def test_a_worker_has_a_clock_of_its_own(db):
    asked = {"DARKROOM_POLL_SECONDS": "2", "DARKROOM_RESCUE_SECONDS": "100"}
    own = load("workers").own_schedule(db)
    rows = worker_schedule(parse(asked), own, datetime.now(UTC))
    assert [(row["schedule"].partition(",")[0], row["last"]) for row in rows] == [
        ("Every 2.0 s", None),
        ("Every 10 s", None),
        ("Every 15 s", None),
        ("Every 5.0 s", None),
    ]
    worker(db, jobs=1)
    db.execute("select refresh_rollup()")
    own = load("workers").own_schedule(db)
    rows = worker_schedule(parse(asked), own, own["seen_at"])
    assert [row["last"] for row in rows] == [
        own["claimed_at"],
        None,
        own["seen_at"],
        own["folded_at"],
    ]
    assert all(own.values())
    assert [(row["next"] - own["seen_at"]).seconds for row in rows[2:3]] == [15]


def test_the_last_claim_is_that_of_any_job(db):
    db.execute(
        "insert into job_queue (job_type, status, attempts, started_at, completed_at) values"
        " ('a', 'processing', 1, now() - interval '1 hour', null),"
        " ('a', 'completed', 1, now() - interval '2 minutes', now() - interval '1 minute')"
    )
    claimed = one(
        db,
        "select now() - interval '2 minutes' < claimed_at + interval '5 seconds'"
        " from (select %s::timestamptz as claimed_at) c",
        load("workers").own_schedule(db)["claimed_at"],
    )
    assert claimed
