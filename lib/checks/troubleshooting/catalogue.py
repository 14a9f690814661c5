"""All symptoms, and running their checks."""

from collections.abc import Callable, Sequence
from typing import Any

from lib.checks.check import Finding
from lib.checks.troubleshooting.duplicates import DUPLICATES
from lib.checks.troubleshooting.failure_rate import FAILURE_RATE
from lib.checks.troubleshooting.immediate_failures import IMMEDIATE_FAILURES
from lib.checks.troubleshooting.pending import PENDING
from lib.checks.troubleshooting.realtime import REALTIME
from lib.checks.troubleshooting.slow import SLOW
from lib.checks.troubleshooting.stuck import STUCK
from lib.checks.troubleshooting.symptom import CauseCheck, Symptom

SYMPTOMS = (PENDING, IMMEDIATE_FAILURES, STUCK, FAILURE_RATE, REALTIME, DUPLICATES, SLOW)

CheckFindings = tuple[CauseCheck, list[Finding]]


def run_checks(symptom: Symptom, query: Callable[[str, str], Any]) -> list[CheckFindings]:
    """Run the checks of a symptom and return each with its findings.

    `query` runs a query, given its file and name.
    """
    facts = {name: query(file, name) for file, name in symptom.queries}
    return [(check, check.run(facts)) for check in symptom.checks]


def ranked(results: Sequence[CheckFindings]) -> list[Finding]:
    """All findings, most likely cause first.

    Sorted by severity, then by the number of affected jobs, then by the order of the checks.
    """
    found = [finding for _, findings in results for finding in findings]
    return sorted(found, key=lambda finding: (finding.status != "critical", -finding.jobs))
