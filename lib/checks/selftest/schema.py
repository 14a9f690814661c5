"""Check that the database has every object the migrations create."""

from lib.checks.check import Finding, run_sql
from lib.checks.expected_schema import Difference, expected, sources
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.result import CheckFailed

KINDS = ("table", "view", "function", "trigger")
MAX_NAMED = 10
"""Missing objects listed by name."""
MAX_REPAIR_STATEMENTS = 3
"""With more missing objects the repair is to apply the migrations."""


async def schema_complete(context: RunContext) -> Finding:
    """Compare the objects in schema public with those of the migrations, by name."""
    missing = [
        difference
        for difference in await context.differences(*KINDS)
        if _is_gone(difference) and _is_needed(difference.kind, difference.name)
    ]
    if missing:
        names = [difference.text.removesuffix(" is missing") for difference in missing]
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        raise CheckFailed(f"Missing: {', '.join(names[:MAX_NAMED])}{more}.", _repair(missing))
    needed = [name for kind in KINDS for name in expected()[kind] if _is_needed(kind, name)]
    return Finding("ok", f"All {len(needed)} tables, views, functions and triggers exist.")


def _is_gone(difference: Difference) -> bool:
    return difference.missing or difference.area == "triggers"


def _is_needed(kind: str, name: str) -> bool:
    # The notification trigger has a check of its own.
    return kind != "trigger" or expected()[kind][name]["table"] != "image_generations"


def _repair(missing: list[Difference]) -> str:
    files = ", ".join(sorted({file for each in missing for file in sources(each.kind, each.name)}))
    if len(missing) > MAX_REPAIR_STATEMENTS or any(each.kind == "table" for each in missing):
        return (
            "Apply the migrations: DATABASE_URL=… python -m lib.database.migrations\n"
            "If there is nothing to apply, these migrations were applied and their objects were"
            f" dropped later: {files}. Rerun their statements for the missing objects. Rows of a"
            " table can only be restored from a backup."
        )
    return run_sql(
        (difference.sql for difference in missing),
        f"Run this SQL in the database. It is from {files}.",
    )
