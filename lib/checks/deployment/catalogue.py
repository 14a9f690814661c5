"""All points of the checklist, in the order of a deployment."""

from lib.checks.check import Check, Finding
from lib.checks.deployment import functions_and_cron, outcomes, schema
from lib.checks.deployment.facts import Facts, Manual

DATABASE, FUNCTIONS, SCHEDULE, WORKS = "Database", "Functions", "Schedule", "It works"

CHECKS: tuple[Check[Facts, Finding], ...] = (
    Check("schema", "Schema of this version", schema.version, section=DATABASE),
    Check("migrations", "Every migration is applied", schema.migrations, section=DATABASE),
    Check("tables", "Tables and columns", schema.tables, section=DATABASE),
    Check("functions", "SQL functions", schema.functions, section=DATABASE),
    Check("views", "Views", schema.views, section=DATABASE),
    Check("triggers", "Triggers", schema.triggers, section=DATABASE),
    Check("row-security", "Row-level security and policies", schema.row_security, section=DATABASE),
    Check("grants", "Rights of each role", schema.grants, section=DATABASE),
    Check("realtime", "Realtime publication", functions_and_cron.realtime, section=DATABASE),
    Check(
        "functions-answer",
        "Functions answer",
        functions_and_cron.functions_answer,
        section=FUNCTIONS,
    ),
    Check(
        "key-accepted",
        "Secret key is accepted",
        functions_and_cron.functions_accept_key,
        section=FUNCTIONS,
    ),
    Check(
        "anonymous-starts",
        "Starting without a signed-in user",
        functions_and_cron.anonymous_starts,
        section=FUNCTIONS,
    ),
    Check("woken", "Something wakes the queue", functions_and_cron.queue_driven, section=SCHEDULE),
    Check(
        "cron-key", "Cron can read the secret key", functions_and_cron.cron_key, section=SCHEDULE
    ),
    Check("cron-runs", "Cron runs succeed", functions_and_cron.cron_runs, section=SCHEDULE),
    Check("end-to-end", "A generation becomes an image", outcomes.end_to_end, section=WORKS),
    Check("no-failed", "No failed jobs", outcomes.no_failed, section=WORKS),
    Check("no-stuck", "No stuck jobs", outcomes.no_stuck, section=WORKS),
)

MANUAL = (
    Manual(
        "team-trained",
        "The team is trained",
        "Everyone on call has used Failures, Jobs and Rollback once.",
    ),
    Manual(
        "alerts-reach",
        "Alerts reach someone",
        "A test alert reached the person on duty, at night too.",
    ),
    Manual(
        "rollback-rehearsed",
        "The rollback was rehearsed",
        "The plan on the page Rollback was gone through and ended once.",
    ),
    Manual(
        "backup-restored",
        "A backup was restored",
        "A copy of the database was restored elsewhere and looked at.",
    ),
)
