"""Check that the database has every object the migrations create."""

from lib.checks.expected_schema import Definition, definitions
from lib.checks.selftest.check import CheckFailed
from lib.checks.selftest.context import RunContext

MAX_NAMED = 10
"""Missing objects listed by name."""
MAX_REPAIR_STATEMENTS = 3
"""With more missing objects the repair is to apply the migrations."""


async def schema_complete(context: RunContext) -> str:
    """Compare the objects in schema public with those of the migrations, by name."""
    found = {(row["kind"], row["name"]) for row in await context.rows("objects")}
    needed = [definition for definition in definitions().values() if _is_needed(definition)]
    missing = [
        definition for definition in needed if (definition.kind, definition.name) not in found
    ]
    if missing:
        names = [f"{definition.kind} {definition.name}" for definition in missing]
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        raise CheckFailed(f"Missing: {', '.join(names[:MAX_NAMED])}{more}.", _repair(missing))
    return f"All {len(needed)} tables, views, functions and triggers are there."


def _is_needed(definition: Definition) -> bool:
    # Policies and the notification trigger have separate checks.
    return definition.kind != "policy" and definition.table != "image_generations"


def _repair(missing: list[Definition]) -> str:
    files = ", ".join(sorted({f"supabase/migrations/{definition.file}" for definition in missing}))
    if len(missing) > MAX_REPAIR_STATEMENTS or any(
        definition.kind == "table" for definition in missing
    ):
        return (
            "Apply the migrations: DATABASE_URL=… python -m lib.database.migrations\n"
            "If that says that there is nothing to apply, these were applied and what they made was"
            f" dropped since: {files}. Run their statements for what is missing; the rows of a"
            " table come back only from a backup."
        )
    return f"Run this SQL in the database. It is from {files}.\n\n" + "\n\n".join(
        definition.sql() for definition in missing
    )
