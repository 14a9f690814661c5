"""Schedules are made, changed, paused and removed by functions that refuse traps and record it."""

import pytest
from cron_calls import BY_HAND, KEY, URL, one, schedule
from psycopg import errors

JOBS = "select job_id, job_name, schedule, active, wakes_queue from cron_jobs()"
AUDIT = "select actor, action, affected, details from audit_log order by id"
WAKE = "select schedule_process_jobs('me', %s, %s)"


def test_the_queue_is_woken_by_one_job_that_names_its_key(with_key):
    conn = with_key
    schedule(conn, BY_HAND, "*/30 * * * * *", "old")
    schedule(conn, "vacuum", name="other")
    job_id = one(conn, WAKE, "*/5 * * * *", URL)
    by_name = {row["job_name"]: row for row in conn.execute(JOBS)}
    assert by_name.keys() == {"other", "process-jobs"}
    assert by_name["process-jobs"] == {
        "job_id": job_id,
        "job_name": "process-jobs",
        "schedule": "*/5 * * * *",
        "active": True,
        "wakes_queue": True,
    }
    command = one(conn, "select command from cron.job where jobid = %s", job_id)
    assert command == f"select public.request_process_jobs('{URL}', 'darkroom_secret_key', 10)"
    assert conn.execute("select * from cron_findings()").fetchall() == []
    [record] = conn.execute(AUDIT)
    assert (record["actor"], record["action"], record["affected"]) == (
        "me",
        "schedule_process_jobs",
        1,
    )
    [before], [after] = record["details"]["before"], record["details"]["after"]
    assert (before["name"], before["schedule"]) == ("old", "*/30 * * * * *")
    assert (after["name"], after["schedule"]) == ("process-jobs", "*/5 * * * *")


def test_scheduling_again_changes_the_job_and_wakes_a_paused_one(with_key):
    conn = with_key
    job_id = one(conn, WAKE, "*/5 * * * *", URL)
    assert one(conn, "select set_cron_job_active('me', %s, false)", job_id)
    assert one(conn, WAKE, "* * * * *", URL) == job_id
    assert [tuple(row.values()) for row in conn.execute(JOBS)] == [
        (job_id, "process-jobs", "* * * * *", True, True)
    ]


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("*/30 * * * * *", "five fields"),
        ("30 * * * * *", "five fields"),
        ("* * * *", "five fields"),
        ("", "five fields"),
        (None, "five fields"),
        ("@hourly", "five fields"),
        ("61 * * * *", "invalid schedule"),
        ("a b c d e", "invalid schedule"),
        ("30 seconds", "pg_cron 1.4-1 does not support seconds"),
        ("60 seconds", "five fields"),
    ],
)
def test_a_schedule_that_pg_cron_misreads_is_refused(with_key, when, reason):
    conn = with_key
    job_id = schedule(conn, "vacuum")
    for action in (
        lambda: one(conn, WAKE, when, URL),
        lambda: one(conn, "select change_cron_job('me', %s, coalesce(%s, ''))", job_id, when),
    ):
        with pytest.raises(errors.InvalidParameterValue, match=reason), conn.transaction():
            action()
    assert [row["schedule"] for row in conn.execute(JOBS)] == ["0 4 1 1 *"]
    assert conn.execute(AUDIT).fetchall() == []


def test_a_later_pg_cron_may_be_given_seconds(with_key):
    with_key.execute("set local allow_system_table_mods = on")
    with_key.execute("update pg_extension set extversion = '1.6' where extname = 'pg_cron'")
    assert one(with_key, "select cron_at_least(1, 5)")
    with_key.execute("select require_cron_schedule('30 seconds')")
    for schedule_in_seconds in ("0 seconds", "60 seconds", "*/30 * * * * *"):
        with pytest.raises(errors.InvalidParameterValue), with_key.transaction():
            with_key.execute("select require_cron_schedule(%s)", [schedule_in_seconds])


@pytest.mark.parametrize(
    ("query", "state"),
    [
        ("schedule_process_jobs('me', '* * * * *', 'https://u:p@x/process-jobs')", "22023"),
        ("schedule_process_jobs('me', '* * * * *', 'https://x/other')", "22023"),
        ("schedule_process_jobs('me', '* * * * *', 'file:///process-jobs')", "22023"),
        ("schedule_process_jobs('me', '* * * * *', null)", "22023"),
        ("schedule_process_jobs('me', '* * * * *', 'https://x/process-jobs', 'a''b')", "22023"),
        ("schedule_process_jobs('me', '* * * * *', 'https://x/process-jobs', 'other')", "DR409"),
        (
            "schedule_process_jobs('me', '* * * * *', 'https://x/process-jobs',"
            " p_timeout_seconds => 0)",
            "22023",
        ),
        ("schedule_process_jobs('', '* * * * *', 'https://x/process-jobs')", "22023"),
        ("unschedule_process_jobs(' ')", "22023"),
        ("change_cron_job('', 1)", "22023"),
        ("unschedule_cron_job(null, 1)", "22023"),
        ("set_cron_job_active('me', -1, false)", "DR404"),
    ],
)
def test_what_cannot_work_is_refused(with_key, query, state):
    with pytest.raises(errors.Error) as refused, with_key.transaction():
        with_key.execute(f"select {query}".encode())
    assert refused.value.sqlstate == state
    assert with_key.execute(AUDIT).fetchall() == []


def test_without_pg_net_there_is_nothing_to_schedule(with_key):
    with_key.execute("drop function net.http_post")
    with pytest.raises(errors.Error, match="pg_net is not installed"), with_key.transaction():
        one(with_key, WAKE, "* * * * *", URL)


def test_any_job_is_changed_paused_and_removed_on_the_record(cron):
    job_id = schedule(cron, "vacuum")
    assert one(cron, "select change_cron_job('me', %s, '0 5 * * *')", job_id)
    assert not one(cron, "select change_cron_job('me', %s, '0 5 * * *')", job_id)
    assert one(cron, "select set_cron_job_active('me', %s, false)", job_id)
    assert not one(cron, "select set_cron_job_active('me', %s, false)", job_id)
    [job] = cron.execute(JOBS)
    assert (job["schedule"], job["active"]) == ("0 5 * * *", False)
    assert one(cron, "select unschedule_cron_job('me', %s)", job_id)
    assert not one(cron, "select unschedule_cron_job('me', %s)", job_id)
    assert cron.execute(JOBS).fetchall() == []
    records = cron.execute(AUDIT).fetchall()
    assert [record["action"] for record in records] == [
        "change_cron_job",
        "change_cron_job",
        "unschedule_cron_job",
    ]
    changed, paused, removed = (record["details"] for record in records)
    assert [side["schedule"] for side in changed["before"] + changed["after"]] == [
        "0 4 1 1 *",
        "0 5 * * *",
    ]
    assert [side["active"] for side in paused["before"] + paused["after"]] == [True, False]
    assert (len(removed["before"]), removed["after"]) == (1, [])
    assert all(record["details"]["cron_job_ids"] == [job_id] for record in records)


def test_all_that_wakes_the_queue_is_unscheduled_and_nothing_else(with_key):
    conn = with_key
    one(conn, WAKE, "* * * * *", URL)
    schedule(conn, BY_HAND, name="old")
    other = schedule(conn, "vacuum", name="other")
    assert one(conn, "select unschedule_process_jobs('me')") == 2
    assert one(conn, "select unschedule_process_jobs('me')") == 0
    assert [row["job_id"] for row in conn.execute(JOBS)] == [other]
    *_, record = conn.execute(AUDIT)
    assert (record["action"], record["affected"]) == ("unschedule_process_jobs", 2)
    names = {job["name"] for job in record["details"]["before"]}
    assert names == {"process-jobs", "old"}


def test_the_audit_log_holds_no_key(with_key):
    job_id = schedule(with_key, f"select net.http_post('{URL}?apikey=abcdef', '{{}}')")
    header = f"""select net.http_post('{URL}', headers := '{{"apikey": "{KEY}"}}')"""
    schedule(with_key, header, name="clear")
    one(with_key, "select set_cron_job_active('me', %s, false)", job_id)
    one(with_key, WAKE, "* * * * *", URL)
    written = one(with_key, "select string_agg(details::text, '') from audit_log")
    assert "***" in written
    assert "abcdef" not in written
    assert KEY not in written


def test_the_api_role_may_do_all_of_it(with_key):
    conn = with_key
    conn.execute("set local role service_role")
    job_id = one(conn, WAKE, "* * * * *", URL)
    assert one(conn, "select job_id from cron_jobs()") == job_id
    assert one(conn, "select set_cron_job_active('me', %s, false)", job_id)
    assert conn.execute("select * from cron_runs()").fetchall() == []
    assert conn.execute("select * from cron_findings()").fetchall() == []
    assert one(conn, "select unschedule_process_jobs('me')") == 1


def test_without_pg_cron_lists_are_empty_and_actions_refuse(db):
    assert not one(db, "select cron_available()")
    assert db.execute("select * from cron_jobs()").fetchall() == []
    assert db.execute("select * from cron_findings()").fetchall() == []
    assert db.execute("select * from cron_runs()").fetchall() == []
    assert one(db, "select unschedule_process_jobs('me')") == 0
    for action in (
        "schedule_process_jobs('me', '* * * * *', 'https://x/process-jobs')",
        "set_cron_job_active('me', 1, false)",
        "unschedule_cron_job('me', 1)",
    ):
        with pytest.raises(errors.Error, match="pg_cron is not installed") as refused:
            db.execute(f"select {action}".encode())
        assert refused.value.sqlstate == "DR409"
    assert db.execute(AUDIT).fetchall() == []
