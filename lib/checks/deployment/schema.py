"""Checks that the schema is the one that the migrations make."""

from lib.checks.check import Finding, abbreviated, run_sql
from lib.checks.deployment.facts import Facts
from lib.checks.expected_schema import EXACT_TABLE, Area, expected, sources_at
from lib.database import SchemaMismatch
from lib.formats import plural


def version(facts: Facts) -> Finding:
    """What is there was made by the migrations of this version, not by another state of them."""
    try:
        facts.check_schema()
    except SchemaMismatch as error:
        return Finding(
            "critical",
            "This schema was created by another version of Darkroom.",
            f"To fix this, {error.advice}.",
        )
    return Finding("ok", "The schema was created by this version of Darkroom.")


def migrations(facts: Facts) -> Finding:
    """All migrations of this version are applied."""
    pending = facts.pending()
    if not pending:
        return Finding("ok", "All migrations of this version are applied.")
    listed = abbreviated(migration.path.name for migration in pending)
    return Finding(
        "critical",
        f"{len(pending)} not applied: {listed}.",
        "Apply them with the button at the top of this page, or from a shell: DATABASE_URL=…"
        " python -m lib.database.migrations",
    )


def tables(facts: Facts) -> Finding:
    """Every table and column exists, and job_queue has no other column or type."""
    columns = {name: len(table["columns"]) for name, table in expected()["table"].items()}
    return _compared(
        facts,
        "tables",
        f"{len(columns)} tables with {sum(columns.values())} columns exist; {EXACT_TABLE} has"
        f" exactly {columns[EXACT_TABLE]}.",
    )


def functions(facts: Facts) -> Finding:
    """Every function exists, and none was changed by hand."""
    count = len(expected()["function"])
    return _compared(facts, "functions", f"All {count} exist and match the migrations.")


def views(facts: Facts) -> Finding:
    """Every view exists with its columns and is security_invoker."""
    return _compared(facts, "views", f"All {len(expected()['view'])} exist.")


def triggers(facts: Facts) -> Finding:
    """Every trigger exists and is enabled."""
    return _compared(facts, "triggers", f"All {len(expected()['trigger'])} exist and are enabled.")


def row_security(facts: Facts) -> Finding:
    """Row-level security is enabled on every table, and every policy exists."""
    tables, policies = len(expected()["table"]), len(expected()["policy"])
    return _compared(
        facts, "row-security", f"{tables} tables have row-level security, with {policies} policies."
    )


def grants(facts: Facts) -> Finding:
    """Each role has the expected privileges on tables, views and functions."""
    return _compared(
        facts,
        "grants",
        "service_role has full access; anon and authenticated have only their intended grants.",
    )


def _compared(facts: Facts, area: Area, complete: str) -> Finding:
    if faults := facts.faults(area):
        named = abbreviated(fault.text for fault in faults)
        # In the order of the migrations: what is missing may build on what else is missing.
        ordered = sorted(faults, key=lambda fault: sources_at(fault.kind, fault.name))
        todo = run_sql(fault.sql for fault in ordered)
        return Finding("critical", f"{plural(len(faults), 'difference')} found: {named}.", todo)
    missing = {fault.name for fault in facts.faults("tables") if fault.missing}
    if missing == expected()["table"].keys():
        return Finding("critical", "No tables yet.")
    return Finding("ok", complete)
