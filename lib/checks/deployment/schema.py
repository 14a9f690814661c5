"""Checks that the database has every object the migrations create."""

from lib.checks.deployment.check import Facts, Finding, abbreviated, from_faults
from lib.checks.deployment.expected import JOB_QUEUE, columns, names
from lib.checks.deployment.rights import table_rights
from lib.checks.expected_schema import Definition, definitions
from lib.database import SchemaMismatch


def version(facts: Facts) -> Finding:
    """What is there was made by the migrations of this version, not by another state of them."""
    try:
        facts.check_schema()
    except SchemaMismatch as error:
        return Finding(
            False, "Another version of Darkroom made this schema.", f"To repair it, {error.advice}."
        )
    return Finding(True, "Nothing here was made by another version of Darkroom.")


def migrations(facts: Facts) -> Finding:
    """All migrations of this version are applied."""
    pending = facts.pending()
    if not pending:
        return Finding(True, "Every migration of this version is applied.")
    listed = abbreviated(migration.path.name for migration in pending)
    return Finding(
        False,
        f"{len(pending)} not applied: {listed}.",
        "Apply them by the button at the top of this page, or from a shell:"
        " DATABASE_URL=… python -m lib.database.migrations",
    )


def tables(facts: Facts) -> Finding:
    """Every table and column exists, and job_queue has no other column or type."""
    found: dict[str, dict[str, str]] = {}
    for row in facts.query("columns"):
        found.setdefault(row["table"], {})[row["column"]] = row["type"]
    faults: dict[str, str] = {}
    for table, wanted in columns().items():
        if table not in found:
            faults[f"table {table} is missing"] = _table(table)
            continue
        for column in wanted.keys() - found[table].keys():
            faults[f"{table} lacks the column {column}"] = (
                f"alter table public.{table} add column {wanted[column]};"
            )
    faults |= _job_queue(found.get("job_queue", {}))
    if faults:
        return from_faults(faults)
    count = sum(map(len, columns().values()))
    return Finding(
        True,
        f"{len(columns())} tables with {count} columns; job_queue has its {len(JOB_QUEUE)}.",
    )


def functions(facts: Facts) -> Finding:
    """Every function exists."""
    return _present("function", {row["name"] for row in facts.query("functions")})


def views(facts: Facts) -> Finding:
    """Every view exists and is security_invoker."""
    found = {row["name"]: row["invoker"] for row in facts.query("views")}
    faults = {
        f"{name} reads past row-level security": (
            f"alter view public.{name} set (security_invoker = true);"
        )
        for name in names("view")
        if found.get(name) is False
    }
    return from_faults(faults) if faults else _present("view", set(found))


def triggers(facts: Facts) -> Finding:
    """Every trigger exists and is enabled."""
    found = {(row["table"], row["name"]): row["enabled"] for row in facts.query("triggers")}
    faults: dict[str, str] = {}
    wanted = [definition for definition in definitions().values() if definition.kind == "trigger"]
    for definition in wanted:
        enabled = found.get((str(definition.table), definition.name))
        if enabled is None:
            faults[f"trigger {definition.name} of {definition.table} is missing"] = definition.sql()
        elif not enabled:
            faults[f"trigger {definition.name} of {definition.table} is disabled"] = (
                f"alter table public.{definition.table} enable trigger {definition.name};"
            )
    return (
        from_faults(faults)
        if faults
        else Finding(True, f"All {len(wanted)} are there and enabled.")
    )


def _present(kind: str, found: set[str]) -> Finding:
    wanted = names(kind)
    missing = [definitions()[kind, name] for name in wanted if name not in found]
    if not missing:
        return Finding(True, f"All {len(wanted)} are there.")
    return from_faults(
        {
            f"{kind} {definition.name} is missing": _definition_sql(definition)
            for definition in missing
        }
    )


def _definition_sql(definition: Definition) -> str:
    return f"-- from supabase/migrations/{definition.file}\n{definition.sql()}"


def _table(name: str) -> str:
    definition = definitions()["table", name]
    return (
        f"{_definition_sql(definition)}\n{table_rights(name)}\n"
        f"-- Its indexes are in that file; its rows come back only from a backup."
    )


def _job_queue(found: dict[str, str]) -> dict[str, str]:
    faults = {
        f"job_queue.{column} is {found[column]}, not {type_name}": (
            f"alter table public.job_queue alter column {column} type {type_name}"
            f" using {column}::{type_name};"
        )
        for column, type_name in JOB_QUEUE.items()
        if column in found and found[column] != type_name
    }
    for column in found.keys() - JOB_QUEUE.keys():
        faults[f"job_queue has a column {column} that is not ours"] = (
            "-- Nothing of this version reads it, and dropping it loses what it holds:\n"
            f"-- alter table public.job_queue drop column {column};"
        )
    return faults
