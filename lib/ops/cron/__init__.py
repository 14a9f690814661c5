"""Jobs of pg_cron: their schedules, their runs, and changing them."""
