"""Test runs: what an operator submits at once, how far it is, what came of it."""
