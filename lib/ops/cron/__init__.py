"""pg_cron jobs: schedules, runs and actions."""
