"""What a point of the checklist is, and how it can come out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.database.migrations import Migration

MAX_NAMED = 8
"""Faults that are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How a point stands.

    `done` is None where this deployment does not need it. `evidence` says what was found, in
    sentences that may quote the database. `repair` says what to do, with the SQL, if any, after
    an empty line. `page` is the file of the page that helps, without its ending.
    """

    done: bool | None
    evidence: str
    repair: str = ""
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a function answered to one call: `status` is 0 when there was no answer."""

    function: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Where checks get what they look at; all may raise DatabaseUnavailable."""

    query: Callable[[str], Any]
    """The answer to a named query of queries/deployment.sql."""
    pending: Callable[[], Sequence[Migration]]
    check_schema: Callable[[], object]
    """Raises SchemaMismatch where another version made the schema."""
    call: Callable[[str, bool], Reply]
    """Calls a function by its name, with the secret key or without any key."""


@dataclass(frozen=True, slots=True)
class Check:
    """A point that is looked at."""

    name: str
    section: str
    title: str
    run: Callable[[Facts], Finding]


@dataclass(frozen=True, slots=True)
class Manual:
    """A point that only people can judge, and tick."""

    name: str
    title: str
    meaning: str


def from_faults(faults: Mapping[str, str]) -> Finding:
    """A point that is not done, from its faults, each with the SQL against it."""
    sql = "\n".join(dict.fromkeys(faults.values()))
    return Finding(
        False,
        f"{len(faults)} found: {abbreviated(faults)}.",
        f"Run this SQL in the database:\n\n{sql}",
    )


def abbreviated(names: Iterable[str]) -> str:
    """The first of them in a sentence, and how many more there are."""
    all_names = list(names)
    more = f" and {len(all_names) - MAX_NAMED} more" if len(all_names) > MAX_NAMED else ""
    return f"{', '.join(all_names[:MAX_NAMED])}{more}"
