"""How often every worker looks after the queue."""

LOOKS_PER_SILENCE = 10
"""How often a worker looks for silent workers within the time after which they count as silent."""
ROLLUP_SECONDS = 5.0
"""How often a worker folds finished jobs into the rollups."""
