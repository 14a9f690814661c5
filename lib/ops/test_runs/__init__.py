"""Test runs: batches of generations that an operator submits, their progress and results."""
