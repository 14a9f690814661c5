"""Formatting and export of audit log entries."""

import json
from typing import Any

PAGE_ROWS = 50


def action_label(action: str) -> str:
    """Display name of an action, such as "Set user limits"."""
    return action.replace("_", " ").capitalize()


def describe_change(before: Any, after: Any) -> str:
    """What an action changed, such as "processing 2 → pending 2"; empty if not recorded.

    Objects with the same keys are compared key by key, and only the differences are shown.
    """
    if before is None and after is None:
        return ""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return ", ".join(
            f"{key}: {_format(before[key])} → {_format(after[key])}"
            for key in before
            if before[key] != after[key]
        )
    return f"{_format(before)} → {_format(after)}"


def _format(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_format(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_format, value))
    return value if isinstance(value, str) else json.dumps(value)
