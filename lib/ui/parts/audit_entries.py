"""How an entry of the audit log reads: what was done, and what was before and after it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lib.ui.dashboard import read_once

PAGE_ROWS = 50
EXPORT_ROWS = 2_000
Row = Mapping[str, Any]


def words(action: str) -> str:
    """The name of an action for the reader, such as "Set user limits"."""
    return action.replace("_", " ").capitalize()


def change(before: Any, after: Any) -> str:
    """What an action changed, such as "processing 2 → pending 2"; empty when it says nothing.

    Where both name the same things, only those that differ are written.
    """
    if before is None and after is None:
        return ""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return ", ".join(
            f"{key}: {_written(before[key])} → {_written(after[key])}"
            for key in before
            if before[key] != after[key]
        )
    return f"{_written(before)} → {_written(after)}"


def pages(filters: Mapping[str, Any]) -> Iterator[list[Row]]:
    """All entries that the filters of the query `entries` let through, newest first, in pieces."""
    before = None
    while rows := read_once("audit", "export", **filters, before=before, most=EXPORT_ROWS):
        yield rows
        before = rows[-1]["id"]


def _written(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_written(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_written, value))
    return value if isinstance(value, str) else json.dumps(value)
