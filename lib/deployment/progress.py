"""Looks at every point of the checklist, and keeps since when each is done."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import httpx

from lib.database import Pool, SchemaMissing, load, translated
from lib.database.migrations import check_schema, pending
from lib.deployment.catalogue import CHECKS, DATABASE
from lib.deployment.check import Check, Facts, Finding, Reply
from lib.selftest.target import Target

FIRST = "Apply the pending migrations first: what is missing is probably in them."
OTHER = "See the point Schema of this version: nothing done to this schema helps."
ANSWER_SECONDS = 3.0
"""How long a function may take to answer a call that makes it do nothing."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a point from before: times in UTC, None for never."""

    done: bool
    since: datetime
    last_done_at: datetime | None
    ticked_by: str | None


@dataclass(frozen=True, slots=True)
class Checklist:
    """How all points stand: those that are looked at, and what is kept of these and the others."""

    findings: Mapping[str, Finding]
    kept: Mapping[str, Kept]

    def open(self) -> list[Check]:
        """The points that are looked at and not done."""
        return [check for check in CHECKS if self.findings[check.name].done is False]

    def ticked(self, name: str) -> bool:
        """Whether somebody has ticked a point that only people can judge."""
        return name in self.kept and self.kept[name].done


def checklist(pool: Pool, target: Target) -> Checklist:
    """Looks at everything and notes how it came out. Raises DatabaseUnavailable."""
    seen = facts(pool, target)
    findings = {check.name: _look(check, seen) for check in CHECKS}
    if findings["schema"].done is False:
        findings |= _advised(findings, CHECKS[1:], OTHER)
    elif findings["migrations"].done is False:
        # Their objects, made by hand, would only make them fail.
        findings |= _advised(findings, CHECKS[2:], FIRST)
    findings = {name: _clean(found, target) for name, found in findings.items()}
    return Checklist(findings, _note(pool, findings))


def facts(pool: Pool, target: Target) -> Facts:
    """What there is to look at in a deployment."""
    return Facts(
        partial(_ask, pool),
        partial(_pending, pool),
        partial(_check_schema, pool),
        partial(_call, target),
    )


def tick(pool: Pool, actor: str, name: str, done: bool) -> None:
    """Ticks or unticks a point that only people can judge. Raises DatabaseError."""
    with translated(), pool.connection() as connection:
        load("deployment").tick(connection, actor=actor, name=name, done=done)


def _advised(
    findings: Mapping[str, Finding], checks: Sequence[Check], advice: str
) -> dict[str, Finding]:
    """Those of the database that are not done, with one piece of advice in place of their own."""
    return {
        check.name: replace(findings[check.name], repair=advice)
        for check in checks
        if check.section == DATABASE and findings[check.name].done is False
    }


def _look(check: Check, facts: Facts) -> Finding:
    try:
        return check.look(facts)
    except SchemaMissing as error:
        return Finding(False, str(error), FIRST)


def _clean(finding: Finding, target: Target) -> Finding:
    return replace(
        finding,
        evidence=target.without_secrets(finding.evidence),
        repair=target.without_secrets(finding.repair),
    )


def _note(pool: Pool, findings: Mapping[str, Finding]) -> dict[str, Kept]:
    points = {name: found.done for name, found in findings.items() if found.done is not None}
    try:
        with translated(), pool.connection() as connection:
            queries = load("deployment")
            queries.note(connection, points=json.dumps(points))
            rows: Sequence[dict[str, Any]] = queries.points(connection)
    except SchemaMissing:
        return {}  # Its migration is pending, and the first point says so.
    return {
        row["name"]: Kept(row["done"], row["since"], row["last_done_at"], row["ticked_by"])
        for row in rows
    }


def _ask(pool: Pool, query: str) -> Any:
    with translated(), pool.connection() as connection:
        return getattr(load("deployment"), query)(connection)


def _pending(pool: Pool) -> Any:
    with translated(), pool.connection() as connection:
        return pending(connection)


def _check_schema(pool: Pool) -> None:
    with translated(), pool.connection() as connection:
        check_schema(connection)


def _call(target: Target, function: str, with_key: bool) -> Reply:
    headers = {"apikey": target.keys.secret} if with_key else {}
    try:
        response = httpx.post(
            f"{target.functions_url}/functions/v1/{function}",
            json={},
            headers=headers,
            timeout=ANSWER_SECONDS,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Reply(function, 0, f"{type(error).__name__} at {target.functions_url}.")
    return Reply(function, response.status_code, _said(response))


def _said(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "no JSON with an error."
