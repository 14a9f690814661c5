"""What the tests of schedules do and ask for."""

from typing import Any

from lib.database.pool import Connection

KEY = "sb_secret_Tq7hunter2sesame"
URL = "https://project.example/functions/v1/process-jobs"
BY_HAND = """select net.http_post(
    url := 'https://project.example/functions/v1/process-jobs',
    headers := jsonb_build_object(
        'Authorization', 'Bearer ' || current_setting('app.settings.service_role_key')),
    body := '{}'::jsonb, timeout_milliseconds := 150000)"""
"""The command of a well-known guide, with a time limit."""


def schedule(conn: Connection, command: str, when: str = "0 4 1 1 *", name: str = "by hand") -> int:
    """Schedules a job as somebody did by hand; returns its id."""
    return one(conn, "select cron.schedule(%s, %s, %s)", name, when, command)


def ran(
    conn: Connection,
    job_id: int,
    status: str = "succeeded",
    *,
    command: str = "select 1",
    message: str = "1 row",
    pid: int = 4711,
) -> int:
    """Writes a run of a job as pg_cron does, a minute after the last one; returns its id."""
    return one(
        conn,
        "insert into cron.job_run_details"
        " (jobid, job_pid, status, command, return_message, start_time, end_time)"
        " select %s, %s, %s, %s, %s, at, at + interval '1 second' from ("
        "   select coalesce(max(start_time) + interval '1 minute', now() - interval '1 hour') as at"
        "   from cron.job_run_details"
        " ) as last returning runid",
        job_id,
        pid,
        status,
        command,
        message,
    )


def one(conn: Connection, query: str, *values: Any) -> Any:
    """The only value of a query's only row."""
    [row] = conn.execute(query, values).fetchall()
    [value] = row.values()
    return value
