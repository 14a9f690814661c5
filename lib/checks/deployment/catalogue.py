"""All points of the checklist, in the order of a deployment."""

from lib.checks.deployment import functions_and_cron, outcomes, rights, schema
from lib.checks.deployment.check import Check, Manual

DATABASE, FUNCTIONS, SCHEDULE, WORKS = "Database", "Functions", "Schedule", "It works"

CHECKS = (
    Check("schema", DATABASE, "Schema of this version", schema.version),
    Check("migrations", DATABASE, "Every migration is applied", schema.migrations),
    Check("tables", DATABASE, "Tables and columns", schema.tables),
    Check("functions", DATABASE, "SQL functions", schema.functions),
    Check("views", DATABASE, "Views", schema.views),
    Check("triggers", DATABASE, "Triggers", schema.triggers),
    Check("row-security", DATABASE, "Row-level security and policies", rights.row_security),
    Check("grants", DATABASE, "Rights of each role", rights.grants),
    Check("realtime", DATABASE, "Realtime publication", functions_and_cron.realtime),
    Check("functions-answer", FUNCTIONS, "Functions answer", functions_and_cron.functions_answer),
    Check(
        "key-accepted", FUNCTIONS, "Secret key is accepted", functions_and_cron.functions_accept_key
    ),
    Check("woken", SCHEDULE, "Something wakes the queue", functions_and_cron.queue_driven),
    Check("cron-key", SCHEDULE, "Cron can read the secret key", functions_and_cron.cron_key),
    Check("cron-runs", SCHEDULE, "Cron runs succeed", functions_and_cron.cron_runs),
    Check("end-to-end", WORKS, "A generation becomes an image", outcomes.end_to_end),
    Check("no-failed", WORKS, "No failed jobs", outcomes.no_failed),
    Check("no-stuck", WORKS, "No stuck jobs", outcomes.no_stuck),
)

MANUAL = (
    Manual(
        "team-trained",
        "The team is trained",
        "Everyone on call has used Failures, Stuck jobs and Rollback once.",
    ),
    Manual(
        "alerts-reach",
        "Alerts reach someone",
        "A test alert arrived where whoever is on duty looks, at night too.",
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
