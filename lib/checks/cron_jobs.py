"""Problems with a pg_cron job: what each one causes and how to fix it."""

from collections.abc import Mapping
from typing import Any

from lib.checks.check import Finding, run_sql
from lib.formats import duration
from lib.ops.cron.schedule import corrected, explain_misreading, in_words

STORE_KEY = "select vault.create_secret('<the secret key>', '{name}');"
SET_KEY = "alter database {database} set {name} = '<the secret key>';"
RESCHEDULE = "Schedule process-jobs below. This replaces the job with a correct one."


def explain(job: Mapping[str, Any], environment: Mapping[str, Any]) -> list[Finding]:
    """Problems with a cron job, most severe first.

    `job` and `environment` are rows of the queries `jobs` and `environment` in queries/cron.sql.
    """
    found = [
        _explain(job, environment, each["finding"], each["detail"]) for each in job["findings"]
    ]
    return sorted(found, key=lambda finding: finding.status != "critical")


def store_key(environment: Mapping[str, Any], name: str) -> str:
    """SQL that stores the secret key under `name`, in Vault or else in a database setting."""
    if environment["vault"]:
        return STORE_KEY.format(name=name)
    return SET_KEY.format(database=environment["database"], name=f"app.settings.{name}")


def _explain(
    job: Mapping[str, Any], environment: Mapping[str, Any], finding: str, detail: str | None
) -> Finding:
    match finding:
        case "six_fields":
            return _six_fields(job, environment)
        case "key_in_clear":
            return _key_in_clear(job, environment)
        case "missing_setting":
            return Finding(
                "critical",
                f"The command reads the setting {detail}, which is not set. Every run fails or"
                " sends no key.",
                run_sql(
                    [SET_KEY.format(database=environment["database"], name=detail)],
                    f"{_repair(job)} Alternatively, define the setting, if the platform"
                    " allows it (hosted Supabase does not).",
                ),
            )
        case "missing_secret":
            return Finding(
                "critical",
                f"The command reads the secret {detail}, which does not exist. Every run fails"
                " or sends no key.",
                run_sql([store_key(environment, str(detail))], "Store the key under that name."),
            )
        case "pg_net_missing":
            return Finding(
                "critical",
                "The command sends a request through pg_net, which is not installed. Every run"
                " fails.",
                run_sql(["create extension pg_net;"], "Install pg_net."),
            )
        case _:
            return _short_timeout(job, environment, int(detail or 0))


def _six_fields(job: Mapping[str, Any], environment: Mapping[str, Any]) -> Finding:
    schedule = job["schedule"]
    right = corrected(schedule, supports_seconds=environment["seconds"])
    note = "" if environment["seconds"] else " (seconds need pg_cron 1.5)"
    return Finding(
        "critical",
        explain_misreading(schedule),
        run_sql(
            [f"select public.change_cron_job('<your name>', {job['job_id']}, '{right}');"],
            f"Change the schedule to “{right}”: {in_words(right).lower()}{note}.",
        ),
    )


def _key_in_clear(job: Mapping[str, Any], environment: Mapping[str, Any]) -> Finding:
    where = "Vault" if environment["vault"] else "a setting"
    return Finding(
        "critical",
        "The command contains a key in plain text. Anyone who can read cron.job, its runs, a"
        " log or a backup can read the key.",
        run_sql(
            [store_key(environment, environment["key_name"])],
            f"Store the key in {where} and let the command refer to it by name. {_repair(job)}"
            " Then rotate the key, because it was exposed.",
        ),
    )


def _short_timeout(
    job: Mapping[str, Any], environment: Mapping[str, Any], milliseconds: int
) -> Finding:
    return Finding(
        "warning",
        f"pg_net waits {duration(milliseconds / 1000)} for the response, but process-jobs may take"
        " 5 s to respond. Slower calls are recorded as timed out even if they succeed.",
        f"{_repair(job)} Or add this to the call:"
        f" timeout_milliseconds := {1000 * environment['call_seconds']}",
    )


def _repair(job: Mapping[str, Any]) -> str:
    return RESCHEDULE if job["wakes_queue"] else "Change the command."
