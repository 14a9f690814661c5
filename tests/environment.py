"""What the processes that tests start know of the machine: no setting but the test's own."""

import os

KEPT = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG")


def bare(**settings: str) -> dict[str, str]:
    """An environment with these settings alone, measured where this process is."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | settings
