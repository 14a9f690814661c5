"""Test runs: generations that an operator submits together, their progress and results."""
