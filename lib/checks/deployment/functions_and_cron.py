"""Checks of the HTTP functions, workers, pg_cron jobs and the realtime publication."""

from typing import Any

from lib.checks.check import Finding, run_sql
from lib.checks.deployment.facts import Facts
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
                f"{name} gave no answer: {reply.message}",
                "Start the app (streamlit run app.py), or deploy the functions, or set SUPABASE_URL"
                " to the project that has them.",
            )
        if reply.status != UNAUTHORIZED:
            return Finding(
                "critical",
                f"{name} answered HTTP {reply.status} to a call without a key: {reply.message}",
                "It must answer 401. Deploy the functions of this version again; where a gateway"
                " stands before them, it must pass them on unchanged.",
            )
    return Finding("ok", f"{', '.join(FUNCTIONS)} answer, and refuse who shows no key.")


def functions_accept_key(facts: Facts) -> Finding:
    """The functions accept the secret key of these settings; the call runs no job."""
    reply = facts.call("process-generation", "secret")
    # The call names no generation, so a function that accepts the key answers with one of these.
    if reply.status in (400, 404, 422):
        return Finding("ok", "process-generation accepts the secret key of these settings.")
    return Finding(
        "critical",
        f"process-generation answered HTTP {reply.status} to the secret key: {reply.message}"
        if reply.status
        else f"process-generation gave no answer: {reply.message}",
        "Give the dashboard and the functions the same SUPABASE_PUBLISHABLE_KEY,"
        " SUPABASE_SECRET_KEY and SUPABASE_JWT_SECRET; without these, the same data folder"
        " (DARKROOM_DATA), where the app keeps its own keys.",
    )


def anonymous_starts(facts: Facts) -> Finding:
    """Whether the publishable key alone starts generations; the call names none."""
    reply = facts.call("start-generation", "publishable")
    if reply.status == UNAUTHORIZED:
        return Finding("ok", "Only signed-in users and the secret key start generations.")
    if reply.status == UNPROCESSABLE:
        return Finding(
            "ok",
            "Anyone who has the publishable key starts generations; all who are not signed in"
            " share one limit. DARKROOM_ANONYMOUS_STARTS=0 ends that.",
        )
    return Finding(
        "not_applicable",
        f"start-generation answered HTTP {reply.status} to the publishable key: {reply.message}"
        if reply.status
        else f"start-generation gave no answer: {reply.message}",
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
        sources.append(f"{workers['alive']} worker(s) alive on {', '.join(workers['hosts'])}")
    if sources:
        return Finding("ok", f"{'; '.join(sources)}.", page="workers")
    if not cron["available"]:
        evidence = f"{no_worker()} pg_cron is not installed."
        return Finding("critical", evidence, START_WORKER, "workers")
    paused = "its schedule is paused" if cron["jobs"] else "it has no schedule"
    return Finding(
        "critical",
        f"{no_worker()} pg_cron does not call process-jobs: {paused}.",
        f"{START_WORKER}\nOr let pg_cron call process-jobs: on the Workers page, or by this"
        " SQL with the address of your project.\n\n"
        "select public.schedule_process_jobs('your name', '* * * * *',\n"
        "    'https://your-project.supabase.co/functions/v1/process-jobs');",
        "workers",
    )


def cron_runs(facts: Facts) -> Finding:
    """The last run of each cron job succeeded, and its schedule and command are sound."""
    cron = facts.query("cron")
    jobs = [job for job in cron["jobs"] if job["active"]]
    if not jobs:
        return Finding("not_applicable", "pg_cron calls nothing here: workers do its part.")
    if faults := [fault for job in jobs for fault in _faults(job, cron["findings"])]:
        return Finding(
            "critical",
            " ".join(faults),
            "The Workers page shows its runs and can reschedule it in the right form.",
            "workers",
        )
    return Finding("ok", "The last run of each job that calls process-jobs succeeded.")


def _faults(job: dict[str, Any], findings: list[dict[str, Any]]) -> list[str]:
    name = job["name"] or f"Job {job['id']}"
    found = [
        f"{name}: {finding['finding'].replace('_', ' ')}"
        + (f" ({finding['detail']})." if finding["detail"] else ".")
        for finding in findings
        if finding["job_id"] == job["id"]
    ]
    if job["failures"]:
        found.append(cron_failing(name, job["failures"], job["last_message"]))
    elif job["last_seconds"] is None:
        found.append(f"{name} has not run yet.")
    elif job["last_seconds"] > LATE_SECONDS:
        found.append(f"{name} has not run for {job['last_seconds'] / 3600:.0f} hours.")
    return found


def cron_key(facts: Facts) -> Finding:
    """The cron jobs can read the secret key."""
    cron = facts.query("cron")
    if not cron["available"] and not cron["jobs"]:
        return Finding("not_applicable", "There is no pg_cron here that would need the key.")
    key_name = cron["key_name"]
    missing = [
        str(finding["detail"])
        for finding in cron["findings"]
        if finding["finding"] in ("missing_secret", "missing_setting")
    ]
    if not missing and cron["key"]:
        return Finding("ok", f"Vault or a setting has the secret {key_name}.")
    # A custom job may use another name; the findings show that it exists.
    if not missing and any(job["active"] for job in cron["jobs"]):
        return Finding("ok", "What the schedule names is there.")
    return Finding(
        "critical",
        f"Cron finds no key under {', '.join(missing or [key_name])}.",
        "Put the secret key into Vault; it is never shown again. Where there is no Vault, as on"
        " PostgreSQL of your own, a setting of the database does it, which needs a new session.\n\n"
        f"select vault.create_secret('<the secret key>', '{key_name}');\n"
        "-- without Vault:\n"
        f"-- alter database <name> set app.settings.{key_name} = '<the secret key>';",
        "workers",
    )


def realtime(facts: Facts) -> Finding:
    """The publication of Supabase Realtime includes changes of generations."""
    found = facts.query("publication")
    sql = []
    if not found["present"]:
        sql.append("create publication supabase_realtime;")
    elif not found["changes"]:
        sql.append("alter publication supabase_realtime set (publish = 'insert, update, delete');")
    if not found["published"]:
        sql.append("alter publication supabase_realtime add table public.image_generations;")
    if not sql:
        return Finding("ok", "supabase_realtime publishes the changes of image_generations.")
    what = "publishes no changes" if found["published"] else "has not got image_generations"
    return Finding(
        "critical",
        f"The publication supabase_realtime {what if found['present'] else 'is missing'}.",
        run_sql(sql),
    )
