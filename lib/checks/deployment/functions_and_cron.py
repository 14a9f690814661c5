"""Checks of the HTTP functions, workers, pg_cron jobs and the realtime publication."""

from typing import Any

from lib.checks.check import Finding, run_sql
from lib.checks.deployment.facts import Facts
from lib.formats import duration, plural
from lib.ops.conditions import START_WORKER, cron_failing, no_worker

FUNCTIONS = ("start-generation", "process-jobs", "process-generation")
UNAUTHORIZED, UNPROCESSABLE = 401, 422
LATE_SECONDS = 2 * 3600
"""Any schedule that calls process-jobs should have run within this time."""


def functions_answer(facts: Facts) -> Finding:
    """All functions respond and reject calls without a key."""
    for name in FUNCTIONS:
        reply = facts.call(name, "none")
        if reply.status == 0:
            return Finding(
                "critical",
                f"No response from {name}: {reply.message}",
                "Start the app (streamlit run app.py), or deploy the functions, or set"
                " SUPABASE_URL to the project where they are deployed.",
            )
        if reply.status != UNAUTHORIZED:
            return Finding(
                "critical",
                f"{name} returned HTTP {reply.status} for a call without a key: {reply.message}",
                "It must return 401. Redeploy the functions of this version. A gateway in front"
                " of them must pass responses on unchanged.",
            )
    return Finding("ok", f"{', '.join(FUNCTIONS)} respond and reject calls without a key.")


def functions_accept_key(facts: Facts) -> Finding:
    """The functions accept the secret key of these settings; the call runs no job."""
    reply = facts.call("process-generation", "secret")
    # The call names no generation, so a function that accepts the key answers with one of these.
    if reply.status in (400, 404, 422):
        return Finding("ok", "process-generation accepts the configured secret key.")
    return Finding(
        "critical",
        f"process-generation returned HTTP {reply.status} for the secret key: {reply.message}"
        if reply.status
        else f"No response from process-generation: {reply.message}",
        "Give the app and the functions the same SUPABASE_PUBLISHABLE_KEY,"
        " SUPABASE_SECRET_KEY and SUPABASE_JWT_SECRET. If these are not set, give both the same"
        " data folder (DARKROOM_DATA), where the app keeps generated keys.",
    )


def anonymous_starts(facts: Facts) -> Finding:
    """Whether the publishable key alone starts generations; the call names none."""
    reply = facts.call("start-generation", "publishable")
    if reply.status == UNAUTHORIZED:
        return Finding("ok", "Only signed-in users and the secret key can start generations.")
    if reply.status == UNPROCESSABLE:
        return Finding(
            "ok",
            "Anyone with the publishable key can start generations; all users who are not"
            " signed in share one limit. To require sign-in, set DARKROOM_ANONYMOUS_STARTS=0.",
        )
    return Finding(
        "not_applicable",
        f"start-generation returned HTTP {reply.status} for the publishable key: {reply.message}"
        if reply.status
        else f"No response from start-generation: {reply.message}",
    )


def queue_driven(facts: Facts) -> Finding:
    """A worker is alive or pg_cron calls process-jobs."""
    cron, workers = facts.query("cron"), facts.query("workers")
    active = [job for job in cron["jobs"] if job["active"]]
    sources = []
    if active:
        sources.append(
            "pg_cron calls process-jobs: "
            + ", ".join(f"{job['name'] or job['id']} ({job['schedule']})" for job in active)
        )
    if workers["alive"]:
        sources.append(
            f"{plural(workers['alive'], 'worker')} alive on {', '.join(workers['hosts'])}"
        )
    if sources:
        return Finding("ok", f"{'; '.join(sources)}.", page="workers")
    if not cron["available"]:
        evidence = f"{no_worker()} pg_cron is not installed."
        return Finding("critical", evidence, START_WORKER, "workers")
    paused = "its schedule is paused" if cron["jobs"] else "it has no schedule"
    return Finding(
        "critical",
        f"{no_worker()} pg_cron does not call process-jobs: {paused}.",
        f"{START_WORKER}\n"
        "Or let pg_cron call process-jobs: schedule it on the Workers page, or run this SQL"
        " with the address of your functions.\n\n"
        "select public.schedule_process_jobs('your name', '* * * * *',\n"
        "    'https://jobs.example.com/functions/v1/process-jobs');",
        "workers",
    )


def cron_runs(facts: Facts) -> Finding:
    """No cron job that calls process-jobs fails, and their schedules and commands are sound."""
    cron = facts.query("cron")
    jobs = [job for job in cron["jobs"] if job["active"]]
    if not jobs:
        return Finding("not_applicable", "pg_cron is not used here; workers run the queue.")
    if faults := [fault for job in jobs for fault in _faults(job, cron["findings"])]:
        return Finding(
            "critical",
            " ".join(faults),
            "The Workers page shows its runs and can reschedule it correctly.",
            "workers",
        )
    return Finding("ok", "No cron job that calls process-jobs is failing.")


def _faults(job: dict[str, Any], findings: list[dict[str, Any]]) -> list[str]:
    name = job["name"] or f"Job {job['id']}"
    found = [
        f"{name}: {finding['finding'].replace('_', ' ')}"
        + (f" ({finding['detail']})." if finding["detail"] else ".")
        for finding in findings
        if finding["job_id"] == job["id"]
    ]
    if job["failures"]:
        found.append(cron_failing(name, job["failures"], job["error"]))
    elif job["last_seconds"] is None:
        found.append(f"{name} has not run yet.")
    elif job["last_seconds"] > LATE_SECONDS:
        found.append(f"{name} has not run for {duration(job['last_seconds'])}.")
    return found


def cron_key(facts: Facts) -> Finding:
    """The cron jobs can read the secret key."""
    cron = facts.query("cron")
    if not cron["available"] and not cron["jobs"]:
        return Finding("not_applicable", "Not needed: no cron job uses the key.")
    key_name = cron["key_name"]
    missing = [
        str(finding["detail"])
        for finding in cron["findings"]
        if finding["finding"] in ("missing_secret", "missing_setting")
    ]
    if not missing and cron["key"]:
        return Finding("ok", f"The secret {key_name} is in Vault or a setting.")
    # A custom job may use another name; the findings show that it exists.
    if not missing and any(job["active"] for job in cron["jobs"]):
        return Finding("ok", "The key that the schedule refers to exists.")
    return Finding(
        "critical",
        f"Cron cannot find a key named {', '.join(missing or [key_name])}.",
        "Store the secret key in Vault. Darkroom never shows it. Without Vault, as on your own"
        " PostgreSQL, use a database setting, which applies to new sessions.\n\n"
        f"select vault.create_secret('<the secret key>', '{key_name}');\n"
        "-- without Vault:\n"
        f"-- alter database <name> set app.settings.{key_name} = '<the secret key>';",
        "workers",
    )


def realtime(facts: Facts) -> Finding:
    """The publication of Supabase Realtime includes changes of jobs and generations."""
    found = facts.query("publication")
    sql = []
    if not found["present"]:
        sql.append("create publication supabase_realtime;")
    elif not found["changes"]:
        sql.append("alter publication supabase_realtime set (publish = 'insert, update, delete');")
    sql += [
        f"alter publication supabase_realtime add table public.{table};"
        for table in found["missing"]
    ]
    if not sql:
        return Finding(
            "ok", "supabase_realtime publishes changes to job_queue and image_generations."
        )
    missing = " and ".join(found["missing"])
    what = f"does not include {missing}" if missing else "publishes no changes"
    return Finding(
        "critical",
        f"The publication supabase_realtime {what if found['present'] else 'is missing'}.",
        run_sql(sql),
    )
