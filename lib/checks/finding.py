"""The building blocks of troubleshooting: symptoms, checks, findings and repairs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lib.database import Pool
from lib.roles import Role

Facts = Mapping[str, Any]
"""Query results of a symptom, by query name."""


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
    """A cause found by a check.

    `cause` and `evidence` may quote job data: text, not Markdown. `jobs` is the number of affected
    jobs, used for ranking. `level` is "act" (critical) or "look" (warning). `todo` describes the
    manual fix. `page` is the module name of the page with details, opened with `filters` as query
    parameters.
    """

    cause: str
    evidence: str
    level: Literal["act", "look"] = "act"
    jobs: int = 0
    repair: Repair | None = None
    todo: str = ""
    page: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A check for one possible cause of a symptom.

    `run` returns its findings, empty if there is no problem. `about` explains the cause in a
    paragraph.
    """

    name: str
    question: str
    about: str
    run: Callable[[Facts], list[Finding]]


@dataclass(frozen=True, slots=True)
class Symptom:
    """A symptom an operator notices.

    `queries` are the (file, query) pairs its checks need. `checks` are ordered by how often each
    one is the cause.
    """

    name: str
    title: str
    queries: Sequence[tuple[str, str]]
    checks: Sequence[Check]
