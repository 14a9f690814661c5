"""What an operator notices, and the checks that look for its cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.checks.check import Check, Finding

Facts = Mapping[str, Any]
"""Query results of a symptom, by query name."""
CauseCheck = Check[Facts, list[Finding]]
"""Looks for one possible cause: its findings, none if it is not the cause."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """A symptom an operator notices.

    `queries` are the (file, query) pairs its checks need. `checks` are ordered by how often each
    one is the cause.
    """

    name: str
    title: str
    queries: Sequence[tuple[str, str]]
    checks: Sequence[CauseCheck]
