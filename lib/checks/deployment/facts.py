"""Data sources of the deployment checks, and the points that people tick."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lib.checks.expected_schema import Area, Difference
from lib.database.migrations import Migration

Key = Literal["secret", "publishable", "none"]


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
    call: Callable[[str, Key], Reply]
    """Calls a function by name, with a key."""

    def faults(self, area: Area) -> list[Difference]:
        """The differences of one area."""
        return [difference for difference in self.differences() if difference.area == area]


@dataclass(frozen=True, slots=True)
class Manual:
    """A point that only people can judge and tick off."""

    name: str
    title: str
    meaning: str
