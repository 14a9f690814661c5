"""The jobs of pg_cron: when they run, what is wrong with them, what became of a run."""
