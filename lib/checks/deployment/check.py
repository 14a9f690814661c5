"""Points of the deployment checklist and their findings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.database.migrations import Migration

MAX_NAMED = 8
"""Names listed before the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a check.

    `done` is None if this deployment does not need the point. `evidence` is text that may quote
    the database. `repair` is the fix in words, followed by a blank line and SQL if there is any.
    `page` is the module name of the page that helps.
    """

    done: bool | None
    evidence: str
    repair: str = ""
    page: str | None = None


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
    call: Callable[[str, bool], Reply]
    """Calls a function by name, with the secret key (True) or without a key (False)."""


@dataclass(frozen=True, slots=True)
class Check:
    """A point that is checked automatically."""

    name: str
    section: str
    title: str
    run: Callable[[Facts], Finding]


@dataclass(frozen=True, slots=True)
class Manual:
    """A point that only people can judge and tick off."""

    name: str
    title: str
    meaning: str


def from_faults(faults: Mapping[str, str]) -> Finding:
    """The finding of an open point, from its faults and the SQL that fixes each."""
    sql = "\n".join(dict.fromkeys(faults.values()))
    return Finding(
        False,
        f"{len(faults)} found: {abbreviated(faults)}.",
        f"Run this SQL in the database:\n\n{sql}",
    )


def abbreviated(names: Iterable[str]) -> str:
    """Comma-separated names, cut off after MAX_NAMED: "a, b and 3 more"."""
    all_names = list(names)
    more = f" and {len(all_names) - MAX_NAMED} more" if len(all_names) > MAX_NAMED else ""
    return f"{', '.join(all_names[:MAX_NAMED])}{more}"
