"""Formatting and export of audit log entries."""

import json
from typing import Any

from lib.checks.deployment.catalogue import MANUAL
from lib.ops.maintenance.tasks import TASKS

PAGE_ROWS = 50
LABELS = {
    "maintenance": "Mark task as done",
    "tick_deployment_point": "Mark check as done",
    "start_self_test": "Start self-test",
    "self_test": "Finish self-test",
}
"""Names of actions that do not say what was done."""
OBJECTS = {each.name: each.title for each in (*MANUAL, *TASKS)}
"""Titles of what the details name by its key."""


WORDS = {"processing": "running"}
"""Statuses and settings by the words that the pages use."""


def action_label(action: str, after: Any = None) -> str:
    """Display name of an action, such as "Set user limits"; `after` is what it left."""
    if action == "inject_faults" and after == {"faults": []}:
        return "Clear all faults"
    return LABELS.get(action) or action.replace("_", " ").capitalize()


def describe_entry(before: Any, after: Any, rest: str | None) -> str:
    """What an entry is about, then what it changed; its details if it names neither."""
    try:
        details = json.loads(rest or "{}")
    except ValueError:
        # Truncated.
        details = {}
    about = [
        OBJECTS.get(str(details[key]), str(details[key]))
        for key in ("task", "point", "name", "file", "reason")
        # Some reasons are part of the change.
        if details.get(key) and not (isinstance(after, dict) and key in after)
    ]
    return "; ".join(filter(None, [*about, describe_change(before, after)]))


def describe_change(before: Any, after: Any) -> str:
    """What an action changed, such as "running 2 → pending 2"; empty if not recorded.

    Objects with the same keys are compared key by key, and only the differences are shown.
    """
    if before is None and after is None:
        return ""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return ", ".join(
            f"{_word(key)}: {_format(before[key])} → {_format(after[key])}"
            for key in before
            if before[key] != after[key]
        )
    return f"{_format(before)} → {_format(after)}"


def _word(key: str) -> str:
    return WORDS.get(key, key.replace("_", " "))


def _format(value: Any) -> str:
    if value in (None, "", [], {}):
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{_word(key)} {_format(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_format, value))
    return value if isinstance(value, str) else json.dumps(value)
