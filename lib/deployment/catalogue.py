"""The points of the checklist, in the order in which a deployment is made."""

from lib.deployment import rights, running, schema, surroundings
from lib.deployment.check import Check, Manual

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
    Check("realtime", DATABASE, "Realtime publication", surroundings.realtime),
    Check("functions-answer", FUNCTIONS, "Functions answer", surroundings.functions_answer),
    Check("key-accepted", FUNCTIONS, "Secret key is accepted", surroundings.functions_accept_key),
    Check("woken", SCHEDULE, "Something wakes the queue", surroundings.woken),
    Check("cron-key", SCHEDULE, "Cron can read the secret key", surroundings.cron_key),
    Check("cron-runs", SCHEDULE, "Cron runs succeed", surroundings.cron_runs),
    Check("end-to-end", WORKS, "A generation becomes an image", running.end_to_end),
    Check("no-failed", WORKS, "No failed jobs", running.no_failed),
    Check("no-stuck", WORKS, "No stuck jobs", running.no_stuck),
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
