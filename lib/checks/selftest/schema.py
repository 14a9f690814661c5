"""Does the database have everything that the migrations make?"""

from lib.checks.expected_schema import Definition, definitions
from lib.checks.selftest.check import CheckFailed
from lib.checks.selftest.trial import Trial

NAMED = 10
"""Missing objects that are named."""
SPELLED_OUT = 3
"""Missing objects up to which the repair is SQL for each."""


async def everything_exists(trial: Trial) -> str:
    """Compares what schema public has with what the migrations make, by name."""
    found = {(row["kind"], row["name"]) for row in await trial.rows("objects")}
    needed = [made for made in definitions().values() if _is_needed(made)]
    missing = [made for made in needed if (made.kind, made.name) not in found]
    if missing:
        names = [f"{made.kind} {made.name}" for made in missing]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise CheckFailed(f"Missing: {', '.join(names[:NAMED])}{more}.", _repair(missing))
    return f"All {len(needed)} tables, views, functions and triggers are there."


def _is_needed(made: Definition) -> bool:
    # Policies and the trigger that tells changes have checks of their own.
    return made.kind != "policy" and made.table != "image_generations"


def _repair(missing: list[Definition]) -> str:
    files = ", ".join(sorted({f"supabase/migrations/{made.file}" for made in missing}))
    if len(missing) > SPELLED_OUT or any(made.kind == "table" for made in missing):
        return (
            "Apply the migrations: DATABASE_URL=… python -m lib.database.migrations\n"
            "If that says that there is nothing to apply, these were applied and what they made was"
            f" dropped since: {files}. Run their statements for what is missing; the rows of a"
            " table come back only from a backup."
        )
    return f"Run this SQL in the database. It is from {files}.\n\n" + "\n\n".join(
        made.sql() for made in missing
    )
