"""How often workers do housekeeping."""

RESCUE_CHECKS_PER_TIMEOUT = 10
"""How many times per rescue timeout each worker looks for workers without heartbeats."""
ROLLUP_SECONDS = 5.0
"""Interval at which each worker folds finished jobs into the rollups."""
