"""Traps in schedules and commands are found, and what is right is left alone."""

import pytest
from cron_calls import BY_HAND, KEY, URL, one, schedule

FOUND = "select finding, detail from cron_findings() order by finding, detail"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.Zm9vYmFy_-x"
VAULT = """select net.http_post(url := 'https://project.example/functions/v1/process-jobs',
    headers := jsonb_build_object('apikey',
        (select decrypted_secret from vault.decrypted_secrets where name = 'the_key')),
    timeout_milliseconds => 150000)"""


def found(conn):
    return [tuple(row.values()) for row in conn.execute(FOUND)]


@pytest.mark.parametrize("when", ["*/30 * * * * *", "30 * * * * *", " 0 4 1 1 *  1"])
def test_six_fields_are_a_trap_that_pg_cron_takes(cron, when):
    schedule(cron, "vacuum", when)
    assert found(cron) == [("six_fields", when)]


@pytest.mark.parametrize("when", ["*/30 * * * *", "0 3 * * 1-5", " 0  3 * *  7 "])
def test_five_fields_are_right(cron, when):
    schedule(cron, "vacuum", when)
    assert found(cron) == []


def test_a_setting_that_new_sessions_lack_is_missing(cron):
    schedule(cron, BY_HAND)
    assert found(cron) == [("missing_setting", "app.settings.service_role_key")]
    cron.execute("alter database postgres set app.settings.service_role_key = ''")
    assert found(cron) == [("missing_setting", "app.settings.service_role_key")]
    cron.execute("alter database postgres set app.settings.service_role_key = 'x'")
    assert found(cron) == []
    schedule(cron, "select current_setting('search_path'), current_setting( 'no.such', true)")
    assert found(cron) == [("missing_setting", "no.such")]


def test_a_secret_that_vault_lacks_is_missing(cron):
    schedule(cron, VAULT)
    assert found(cron) == [("missing_secret", "the_key")]
    cron.execute("insert into vault.secrets values ('the_key', '')")
    assert found(cron) == [("missing_secret", "the_key")]
    cron.execute("update vault.secrets set secret = 'x'")
    assert found(cron) == []
    cron.execute("drop schema vault cascade")
    assert found(cron) == [("missing_secret", "the_key")]


def test_the_key_of_our_own_schedule_may_go_missing(with_key):
    one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    assert found(with_key) == []
    with_key.execute("delete from vault.secrets")
    assert found(with_key) == [("missing_secret", "darkroom_secret_key")]
    with_key.execute("alter database postgres set app.settings.darkroom_secret_key = 'x'")
    assert found(with_key) == []


def test_without_pg_net_nothing_is_sent(with_key):
    one(with_key, "select schedule_process_jobs('me', '* * * * *', %s)", URL)
    with_key.execute("drop function net.http_post")
    assert found(with_key) == [("pg_net_missing", None)]


@pytest.mark.parametrize(
    ("limit", "milliseconds"),
    [
        ("", None),
        (", timeout_milliseconds := 4999", "4999"),
        (", timeout_milliseconds := 5000", None),
        (",TIMEOUT_MILLISECONDS=>1", "1"),
    ],
)
def test_a_time_limit_below_that_of_an_answer_is_too_short(cron, limit, milliseconds):
    schedule(cron, f"select net.http_post(url := '{URL}'{limit})")
    assert found(cron) == ([("short_timeout", milliseconds)] if milliseconds else [])
    schedule(cron, f"select net.http_post(url := 'https://elsewhere.example/x'{limit})")
    assert found(cron) == []


def test_our_own_schedule_may_be_given_too_little_time(with_key):
    limited = "select schedule_process_jobs('me', '* * * * *', %s, p_timeout_seconds => 4)"
    one(with_key, limited, URL)
    assert found(with_key) == [("short_timeout", "4000")]


CLEAR = [
    f"""headers := '{{"Authorization": "Bearer {JWT}"}}'""",
    f"""headers := '{{"apikey":"{KEY}"}}'""",
    f"""headers := jsonb_build_object('Authorization', 'Bearer {JWT}')""",
    """headers := jsonb_build_object('Authorization', 'Bearer ' || 'short-secret')""",
    """headers := '{"Authorization": "Basic dXNlcjpwYXNz"}'""",
    """headers := jsonb_build_object('x-cron-secret', 'hunter2')""",
    """headers := jsonb_build_object('x-cron-secret', 'hunter2'::text)""",
    """headers := '{"x-functions-key":"hunter2"}'""",
    """url := 'https://user:hunter2@project.example/process-jobs'""",
    """url := 'https://project.example/process-jobs?x=1&api_key=hunter2'""",
    """body := '7d2f9c0b1a8e4f6d93b5c7e1f0a2d4b6c8e0f1a3'""",
]
HIDDEN = [JWT, KEY, "short-secret", "dXNlcjpwYXNz", "hunter2", "7d2f9c0b1a8e4f6d"]


@pytest.mark.parametrize("part", CLEAR)
def test_a_key_in_clear_is_found_and_shown_to_nobody(cron, part):
    timeout = "timeout_milliseconds := 150000"
    job_id = schedule(cron, f"select net.http_post({part}, {timeout})")
    assert ("key_in_clear", None) in found(cron)
    shown = one(cron, "select command from cron_jobs()")
    assert "***" in shown
    assert timeout in shown
    cron.execute(
        "insert into cron.job_run_details (jobid, command, status, return_message, start_time)"
        " values (%s, '', 'failed', %s, now())",
        [job_id, f"ERROR: bad {part}"],
    )
    said = one(cron, "select last_message from cron_jobs()")
    assert said == one(cron, "select message from cron_runs()")
    for text in (shown, said):
        assert not any(secret in text for secret in HIDDEN), text


@pytest.mark.parametrize(
    "command",
    [
        BY_HAND,
        VAULT,
        f"select public.request_process_jobs('{URL}', 'darkroom_secret_key', 150)",
        "delete from cron.job_run_details where end_time < now() - interval '7 days'",
        "select net.http_post(url := 'https://abcdefghijklmnopqrst.supabase.co/functions/v1/x')",
        "select f('0b8a4f7e-6d1c-4a5e-9f3b-2c1d0e9f8a7b')",
    ],
)
def test_a_command_without_a_key_is_shown_whole(cron, command):
    schedule(cron, command)
    assert one(cron, "select command from cron_jobs()") == command
    assert ("key_in_clear", None) not in found(cron)
