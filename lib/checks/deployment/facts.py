"""Data sources of the deployment checks, and the points that people tick."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lib.checks.expected_schema import Area, Difference
from lib.database.migrations import Migration


@dataclass(frozen=True, slots=True)
class Reply:
    """Response of a function to a call; `status` is 0 if there was none."""

    function: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Data sources of the checks; all may raise DatabaseUnavailable."""

    query: Callable[[str], Any]
    """Runs a query of queries/deployment.sql, by name."""
    pending: Callable[[], Sequence[Migration]]
    check_schema: Callable[[], object]
    """Raises SchemaMismatch where another version made the schema."""
    differences: Callable[[], Sequence[Difference]]
    """What is not as in the snapshot of the schema."""
    call: Callable[[str, bool], Reply]
    """Calls a function by name, with the secret key (True) or without a key (False)."""

    def faults(self, area: Area) -> list[Difference]:
        """The differences of one area."""
        return [difference for difference in self.differences() if difference.area == area]


@dataclass(frozen=True, slots=True)
class Manual:
    """A point that only people can judge and tick off."""

    name: str
    title: str
    meaning: str
