"""All symptoms, and looking at them."""

from collections.abc import Callable, Sequence
from typing import Any

from lib.checks.finding import Check, Finding, Symptom
from lib.checks.troubleshooting.duplicates import DUPLICATES
from lib.checks.troubleshooting.failure_rate import FAILURE_RATE
from lib.checks.troubleshooting.immediate_failures import AT_ONCE
from lib.checks.troubleshooting.pending import PENDING
from lib.checks.troubleshooting.realtime import REALTIME
from lib.checks.troubleshooting.slow import SLOW
from lib.checks.troubleshooting.stuck import STUCK

SYMPTOMS = (PENDING, AT_ONCE, STUCK, FAILURE_RATE, REALTIME, DUPLICATES, SLOW)

Looked = tuple[Check, list[Finding]]


def look(symptom: Symptom, ask: Callable[[str, str], Any]) -> list[Looked]:
    """The checks of a symptom, each with what it found.

    `ask` gives the answer to a query, by file and name.
    """
    facts = {query: ask(file, query) for file, query in symptom.queries}
    return [(check, check.look(facts)) for check in symptom.checks]


def ranked(looked: Sequence[Looked]) -> list[Finding]:
    """What was found, the likeliest cause first.

    What stops jobs now comes before what only might, more jobs before fewer, and of those that
    explain as many the check that stands first.
    """
    found = [finding for _, findings in looked for finding in findings]
    return sorted(found, key=lambda finding: (finding.level != "act", -finding.jobs))
