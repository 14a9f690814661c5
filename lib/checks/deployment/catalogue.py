"""All points of the checklist, in the order of a deployment."""

from lib.checks.check import Check, Finding
from lib.checks.deployment import functions_and_cron, outcomes, schema
from lib.checks.deployment.facts import Facts, Manual

DATABASE, FUNCTIONS, SCHEDULE, WORKS = "Database", "Functions", "Schedule", "End to end"

CHECKS: tuple[Check[Facts, Finding], ...] = (
    Check("schema", "Schema of this version", schema.version, section=DATABASE),
    Check("migrations", "Migrations", schema.migrations, section=DATABASE),
    Check("tables", "Tables and columns", schema.tables, section=DATABASE),
    Check("functions", "SQL functions", schema.functions, section=DATABASE),
    Check("views", "Views", schema.views, section=DATABASE),
    Check("triggers", "Triggers", schema.triggers, section=DATABASE),
    Check("row-security", "Row-level security and policies", schema.row_security, section=DATABASE),
    Check("grants", "Grants of each role", schema.grants, section=DATABASE),
    Check("realtime", "Realtime publication", functions_and_cron.realtime, section=DATABASE),
    Check(
        "functions-answer",
        "Functions respond",
        functions_and_cron.functions_answer,
        section=FUNCTIONS,
    ),
    Check(
        "key-accepted",
        "Secret key accepted",
        functions_and_cron.functions_accept_key,
        section=FUNCTIONS,
    ),
    Check(
        "anonymous-starts",
        "Anonymous starts",
        functions_and_cron.anonymous_starts,
        section=FUNCTIONS,
    ),
    Check(
        "woken",
        "Worker or cron job runs the queue",
        functions_and_cron.queue_driven,
        section=SCHEDULE,
    ),
    Check("cron-key", "Secret key readable by cron", functions_and_cron.cron_key, section=SCHEDULE),
    Check("cron-runs", "Cron runs succeed", functions_and_cron.cron_runs, section=SCHEDULE),
    Check("end-to-end", "Self-test", outcomes.end_to_end, section=WORKS),
    Check("no-failed", "Failed jobs", outcomes.no_failed, section=WORKS),
    Check("no-stuck", "Stuck jobs", outcomes.no_stuck, section=WORKS),
)

MANUAL = (
    Manual(
        "team-trained",
        "Team trained",
        "Everyone on call has used Failures, Jobs and Rollback at least once.",
    ),
    Manual(
        "alerts-reach",
        "Alerts received",
        "A test alert reached the person on call, including at night.",
    ),
    Manual(
        "rollback-rehearsed",
        "Rollback rehearsed",
        "All steps on the Rollback page were carried out and the rollback was ended.",
    ),
    Manual(
        "backup-restored",
        "Backup restored",
        "A backup of the database was restored elsewhere and checked.",
    ),
)
