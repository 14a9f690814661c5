"""Checks of row-level security and privileges."""

from collections.abc import Sequence

from lib.checks.deployment.check import Facts, Finding, from_faults
from lib.checks.deployment.expected import APPEND_ONLY, CALLABLE, READABLE, SERVICE, WRITES, names
from lib.checks.expected_schema import definitions

USERS = ("anon", "authenticated")
ROLES = (*USERS, "service_role")


def row_security(facts: Facts) -> Finding:
    """Row-level security is enabled on every table, and every policy exists."""
    found = {row["table"]: row for row in facts.query("policies")}
    present = [table for table in names("table") if table in found]
    faults: dict[str, str] = {}
    count = 0
    for table in present:
        if not found[table]["secured"]:
            faults[f"row-level security of {table} is off"] = _secure(table)
        for policy, sql in _policies(table).items():
            count += 1
            if policy not in found[table]["policies"]:
                faults[f'{table} lacks the policy "{policy}"'] = sql
    if faults:
        return from_faults(faults)
    return Finding(bool(present), f"{len(present)} tables are secured by {count} policies.")


def grants(facts: Facts) -> Finding:
    """Each role has the expected privileges on tables, views and functions."""
    faults: dict[str, str] = {}
    relations = {*names("table"), *names("view")}
    rows = [row for row in facts.query("rights") if row["name"] in relations]
    for row in rows:
        wanted = _wanted(row["name"], row["role"], view=row["view"])
        sql = _regrant(row["name"], row["role"], wanted)
        for right in set(wanted) - set(row["rights"]):
            faults[f"{row['role']} may not {right} {row['name']}"] = sql
        for right in _excess(row["name"], row["role"], wanted, row["rights"]):
            faults[f"{row['role']} may {right} {row['name']}"] = sql
    faults |= _functions(facts)
    if faults:
        return from_faults(faults)
    if not rows:
        return Finding(False, "There is no table and no view yet.")
    return Finding(
        True, "service_role may use everything, anon and authenticated only what they are meant to."
    )


def table_rights(table: str) -> str:
    """SQL that sets the privileges and policies of a table."""
    return "\n".join(
        [
            _secure(table),
            *(_regrant(table, role, _wanted(table, role, view=False)) for role in ROLES),
            *_policies(table).values(),
        ]
    )


def _secure(table: str) -> str:
    return f"alter table public.{table} enable row level security;"


def _policies(table: str) -> dict[str, str]:
    """Policies of a table: name → SQL that creates it."""
    found = {
        SERVICE: f'create policy "{SERVICE}" on public.{table}\n'
        "    for all to service_role using (true) with check (true);"
    }
    if table in READABLE:
        _, policy = READABLE[table]
        found[policy] = definitions()["policy", policy].sql()
    return found


def _wanted(name: str, role: str, *, view: bool) -> Sequence[str]:
    if role == "service_role":
        if view:
            return ("select",)
        return WRITES[:2] if name in APPEND_ONLY else WRITES
    roles, _ = READABLE.get(name, ((), ""))
    return ("select",) if role in roles else ()


def _excess(name: str, role: str, wanted: Sequence[str], has: Sequence[str]) -> set[str]:
    """Dangerous extra privileges. service_role has all privileges on older projects."""
    if role in USERS:
        return set(has) - set(wanted)
    return set(has) & {"update", "delete", "truncate"} if name in APPEND_ONLY else set()


def _regrant(name: str, role: str, wanted: Sequence[str]) -> str:
    # Also from public: every role inherits the privileges of public.
    sql = f"revoke all on public.{name} from public, {role};"
    return f"{sql}\ngrant {', '.join(wanted)} on public.{name} to {role};" if wanted else sql


def _functions(facts: Facts) -> dict[str, str]:
    faults: dict[str, str] = {}
    ours = set(names("function"))
    for row in facts.query("functions"):
        if row["name"] not in ours:
            continue
        signature, wanted = row["signature"], CALLABLE.get(row["name"], {"service_role"})
        if too_many := sorted(set(row["roles"]) - wanted):
            faults[f"{' and '.join(too_many)} may run {row['name']}"] = "\n".join(
                [
                    f"revoke execute on function {signature} from public, {', '.join(too_many)};",
                    *(f"grant execute on function {signature} to {to};" for to in sorted(wanted)),
                ]
            )
        elif too_few := sorted(wanted - set(row["roles"])):
            faults[f"{' and '.join(too_few)} may not run {row['name']}"] = (
                f"grant execute on function {signature} to {', '.join(too_few)};"
            )
    return faults
