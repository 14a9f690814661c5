"""Runs every check of the checklist and records since when each point is done."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any

import httpx

from lib.checks.check import Check, Finding
from lib.checks.deployment.catalogue import CHECKS, DATABASE
from lib.checks.deployment.facts import Facts, Key, Reply
from lib.checks.expected_schema import Difference, differences
from lib.checks.selftest.target import Target
from lib.database import Pool, SchemaMissing, load, translated
from lib.database.migrations import check_schema, pending

APPLY_FIRST = "Apply the pending migrations first. They probably add what is missing."
OTHER_SCHEMA = "See “Schema of this version”. Do not change this schema by hand."
Point = Check[Facts, Finding]
CALL_TIMEOUT_SECONDS = 3.0
"""Time limit of a call that runs no job."""


@dataclass(frozen=True, slots=True)
class PointRecord:
    """Recorded history of a point; times in UTC, None for never."""

    done: bool
    since: datetime
    last_done_at: datetime | None
    ticked_by: str | None


@dataclass(frozen=True, slots=True)
class Checklist:
    """The whole checklist: findings of the checks, and the records of all points."""

    findings: Mapping[str, Finding]
    records: Mapping[str, PointRecord]

    def open_checks(self) -> list[Point]:
        """Checks that are not done."""
        return [check for check in CHECKS if self.findings[check.name].open]

    @property
    def critical(self) -> bool:
        """Whether a check found something critical."""
        return any(found.status == "critical" for found in self.findings.values())

    def ticked(self, name: str) -> bool:
        """Whether a manual point is ticked."""
        return name in self.records and self.records[name].done


def checklist(pool: Pool, target: Target) -> Checklist:
    """Run all checks and record the results. Raises DatabaseUnavailable."""
    sources = facts(pool, target)
    findings = {check.name: _run(check, sources) for check in CHECKS}
    if findings["schema"].open:
        findings |= _with_todo(findings, CHECKS[1:], OTHER_SCHEMA)
    elif findings["migrations"].open:
        # Creating the missing objects by hand would make the migrations fail.
        findings |= _with_todo(findings, CHECKS[2:], APPLY_FIRST)
    findings = {name: _redact(found, target) for name, found in findings.items()}
    return Checklist(findings, _record(pool, findings))


def facts(pool: Pool, target: Target) -> Facts:
    """The data sources for the checks of a deployment."""
    return Facts(
        partial(_query, pool),
        partial(_pending, pool),
        partial(_check_schema, pool),
        cache(partial(_differences, pool)),
        partial(_call, target),
    )


def tick(pool: Pool, actor: str, name: str, done: bool) -> None:
    """Tick or untick a manual point. Raises DatabaseError."""
    with translated(), pool.connection() as connection:
        load("deployment").tick(connection, actor=actor, name=name, done=done)


def _with_todo(
    findings: Mapping[str, Finding], checks: Sequence[Point], todo: str
) -> dict[str, Finding]:
    """The open points of the database among the checks, all with the same repair."""
    return {
        check.name: replace(findings[check.name], todo=todo)
        for check in checks
        if check.section == DATABASE and findings[check.name].open
    }


def _run(check: Point, facts: Facts) -> Finding:
    try:
        return check.run(facts)
    except SchemaMissing as error:
        return Finding("critical", str(error), APPLY_FIRST)


def _redact(finding: Finding, target: Target) -> Finding:
    return replace(
        finding,
        evidence=target.without_secrets(finding.evidence),
        todo=target.without_secrets(finding.todo),
    )


def _record(pool: Pool, findings: Mapping[str, Finding]) -> dict[str, PointRecord]:
    points = {
        name: not found.open for name, found in findings.items() if found.status != "not_applicable"
    }
    try:
        with translated(), pool.connection() as connection:
            queries = load("deployment")
            queries.note(connection, points=json.dumps(points))
            rows: Sequence[dict[str, Any]] = queries.points(connection)
    except SchemaMissing:
        return {}  # The migration of that table is pending, which the first point reports.
    return {
        row["name"]: PointRecord(row["done"], row["since"], row["last_done_at"], row["ticked_by"])
        for row in rows
    }


def _query(pool: Pool, query: str) -> Any:
    with translated(), pool.connection() as connection:
        return getattr(load("deployment"), query)(connection)


def _pending(pool: Pool) -> Any:
    with translated(), pool.connection() as connection:
        return pending(connection)


def _check_schema(pool: Pool) -> None:
    with translated(), pool.connection() as connection:
        check_schema(connection)


def _differences(pool: Pool) -> list[Difference]:
    with translated(), pool.connection() as connection:
        return differences(load("schema").objects(connection))


def _call(target: Target, function: str, key: Key) -> Reply:
    keys = {"secret": target.keys.secret, "publishable": target.keys.publishable}
    headers = {"apikey": keys[key]} if key in keys else {}
    try:
        response = httpx.post(
            f"{target.functions_url}/functions/v1/{function}",
            json={},
            headers=headers,
            timeout=CALL_TIMEOUT_SECONDS,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Reply(function, 0, f"{type(error).__name__} at {target.functions_url}.")
    return Reply(function, response.status_code, _error_message(response))


def _error_message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "the response is not a JSON error."
