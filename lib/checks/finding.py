"""What a check is, what it finds, and what repairs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lib.database import Pool
from lib.roles import Role

Facts = Mapping[str, Any]
"""Answers to the queries of a symptom, by the query's name."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What a button does: `label` as a verb, `effect` in words with how many jobs it is about.

    Both may quote job data: they are text, not Markdown. `run` returns the report.
    """

    label: str
    effect: str
    run: Callable[[Pool, str], str]
    needs: Role = Role.OPERATOR


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that holds now.

    `evidence` is what was seen; both are text that may quote job data. `jobs` is how many it
    concerns: more jobs, likelier cause. `level` is what to do about it: act, or look soon.
    `todo` is what to do where no button can. `page` is the file of the page that says more, with
    `filters` in its URL.
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
    """One question about a symptom; `look` answers it from the facts: nothing when all is well.

    `about` is a paragraph: what it means and why it happens.
    """

    name: str
    question: str
    about: str
    run: Callable[[Facts], list[Finding]]


@dataclass(frozen=True, slots=True)
class Symptom:
    """What an operator notices. `queries` are (file, query) pairs whose answers are its facts.

    The checks stand in the order of how often each is the cause.
    """

    name: str
    title: str
    queries: Sequence[tuple[str, str]]
    checks: Sequence[Check]
