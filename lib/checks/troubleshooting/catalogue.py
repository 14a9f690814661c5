"""All symptoms, and looking at them."""

from collections.abc import Callable, Sequence
from typing import Any

from lib.checks.finding import Check, Finding, Symptom
from lib.checks.troubleshooting.duplicates import DUPLICATES
from lib.checks.troubleshooting.failure_rate import FAILURE_RATE
from lib.checks.troubleshooting.immediate_failures import IMMEDIATE_FAILURES
from lib.checks.troubleshooting.pending import PENDING
from lib.checks.troubleshooting.realtime import REALTIME
from lib.checks.troubleshooting.slow import SLOW
from lib.checks.troubleshooting.stuck import STUCK

SYMPTOMS = (PENDING, IMMEDIATE_FAILURES, STUCK, FAILURE_RATE, REALTIME, DUPLICATES, SLOW)

CheckFindings = tuple[Check, list[Finding]]


def run_checks(symptom: Symptom, query: Callable[[str, str], Any]) -> list[CheckFindings]:
    """The checks of a symptom, each with what it found.

    `ask` gives the answer to a query, by file and name.
    """
    facts = {name: query(file, name) for file, name in symptom.queries}
    return [(check, check.run(facts)) for check in symptom.checks]


def ranked(results: Sequence[CheckFindings]) -> list[Finding]:
    """What was found, the likeliest cause first.

    What stops jobs now comes before what only might, more jobs before fewer, and of those that
    explain as many the check that stands first.
    """
    found = [finding for _, findings in results for finding in findings]
    return sorted(found, key=lambda finding: (finding.level != "act", -finding.jobs))
