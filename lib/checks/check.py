"""Checks and their findings, for the deployment checklist, the self-test and troubleshooting."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from lib.database import Pool
from lib.roles import Role

Status = Literal["ok", "not_applicable", "warning", "critical"]
Source = TypeVar("Source")
Found = TypeVar("Found")
MAX_NAMED = 8
"""Names listed before the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A fix that a button applies.

    `label` is the button text, `effect` what it does and to how many jobs; both may quote job data,
    so they are text, not Markdown. `run` takes the pool and the actor and returns a report.
    `needs` is the required role.
    """

    label: str
    effect: str
    run: Callable[[Pool, str], str]
    needs: Role = Role.OPERATOR


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    `evidence`, `cause` and `todo` may quote the database: text, not Markdown. `todo` is what to do,
    in words, followed by a blank line and SQL if SQL does it; `repair` a button that does it.
    `cause` is the likely cause in a sentence, for checks that look for causes; `jobs` the number of
    affected jobs. `page` is the module name of the page with details, opened with `filters` as
    query parameters.
    """

    status: Status
    evidence: str
    todo: str = ""
    page: str | None = None
    cause: str = ""
    repair: Repair | None = None
    jobs: int = 0
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether there is something to do."""
        return self.status in ("warning", "critical")


@dataclass(frozen=True, slots=True)
class Check(Generic[Source, Found]):
    """One thing that is checked.

    `title` names it, or asks for it; `about` says what is expected, or explains it. `run` takes the
    data sources of its catalogue and returns what it found. `section` groups the checks of a page.
    Checks that run one after the other (the self-test) need those named in `needs` to pass first,
    end after `time_limit` seconds, and then say `on_timeout`.
    """

    name: str
    title: str
    run: Callable[[Source], Found]
    about: str = ""
    section: str = ""
    needs: tuple[str, ...] = ()
    time_limit: float = 20
    on_timeout: str = (
        "Use the “Slow jobs or pages” checks on Troubleshooting to find what keeps the database"
        " busy, then run the self-test again."
    )


def run_sql(sql: Iterable[str], why: str = "Run this SQL in the database:") -> str:
    """What to do: `why` in words, then the statements, each once."""
    return f"{why}\n\n" + "\n".join(dict.fromkeys(sql))


def abbreviated(names: Iterable[str]) -> str:
    """Comma-separated names, cut off after MAX_NAMED: "a, b and 3 more"."""
    all_names = list(names)
    more = f" and {len(all_names) - MAX_NAMED} more" if len(all_names) > MAX_NAMED else ""
    return f"{', '.join(all_names[:MAX_NAMED])}{more}"
