"""Actions of operators on cron jobs, recorded in the audit log.

All raise DatabaseUnavailable while the database is unreachable, and QueryError with an explanation
for what pg_cron cannot do; nothing changes then.
"""

import json
from dataclasses import dataclass

import httpx

from lib.database import Pool, load, translated


@dataclass(frozen=True, slots=True)
class Call:
    """Outcome of a process-jobs call; `message` is its response or the error."""

    succeeded: bool
    message: str


def schedule_process_jobs(
    pool: Pool, actor: str, schedule: str, url: str, key_name: str, timeout_seconds: int
) -> int:
    """Schedule process-jobs in pg_cron, replacing all jobs that call it. Returns the job's id.

    `key_name` is the name of a Vault secret or of a setting app.settings.<name>.
    """
    with translated(), pool.connection() as connection:
        return int(
            load("cron").schedule_process_jobs(
                connection,
                actor=actor,
                schedule=schedule,
                url=url,
                key_name=key_name,
                timeout_seconds=timeout_seconds,
            )
        )


def change_schedule(pool: Pool, actor: str, job_id: int, schedule: str) -> bool:
    """Change a job's schedule. False if it is unchanged."""
    with translated(), pool.connection() as connection:
        return bool(
            load("cron").change_cron_job(connection, actor=actor, job_id=job_id, schedule=schedule)
        )


def set_active(pool: Pool, actor: str, job_id: int, active: bool) -> bool:
    """Pause or resume a job. False if it already was in that state."""
    with translated(), pool.connection() as connection:
        return bool(
            load("cron").set_cron_job_active(connection, actor=actor, job_id=job_id, active=active)
        )


def unschedule(pool: Pool, actor: str, job_id: int) -> bool:
    """Remove a job. False if it no longer existed."""
    with translated(), pool.connection() as connection:
        return bool(load("cron").unschedule_cron_job(connection, actor=actor, job_id=job_id))


def call_process_jobs(
    pool: Pool, actor: str, functions_url: str, key: str, timeout_seconds: float
) -> Call:
    """Call process-jobs like its schedule does and wait for the response.

    Jobs may still be running then. After `timeout_seconds` the call counts as failed.
    """
    url = f"{functions_url}/functions/v1/process-jobs"
    try:
        answer = httpx.post(url, json={}, headers={"apikey": key}, timeout=timeout_seconds)
        call = Call(answer.is_success, f"HTTP {answer.status_code}: {_message_of(answer)}")
    except httpx.TimeoutException:
        call = Call(
            False,
            f"No response from {url} within {timeout_seconds:g} s; the function may still be"
            " running.",
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        call = Call(False, f"No response from {url}: {type(error).__name__}.")
    with translated(), pool.connection() as connection:
        details = json.dumps({"answer": call.message})
        load("cron").record_call(connection, actor=actor, details=details)
    return call


def _message_of(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return str(body.get("message") or body["error"]["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "not a response from process-jobs"
