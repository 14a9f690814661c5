"""Check that signed-in users see only their own jobs and generations."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from lib.checks.expected_schema import definitions
from lib.checks.selftest.check import CheckFailed
from lib.checks.selftest.context import RunContext

OWN_ROWS = {
    "job_queue": "Users can view their own jobs",
    "image_generations": "Users can view their own generations",
}
SERVICE = "Service role has full access"


async def users_see_their_own(context: RunContext) -> str:
    """Two users each see only their own rows; runs in a transaction that is rolled back."""
    broken = [fault for table in await context.rows("policies") for fault in _faults(table)]
    if broken:
        raise CheckFailed(
            "; ".join(fault for fault, _ in broken) + ".",
            "Run this SQL in the database:\n\n" + "\n".join(sql for _, sql in broken),
        )
    users = [uuid4(), uuid4()]
    async with context.rolled_back() as connection:
        jobs: list[UUID] = []
        generations: list[UUID] = []
        for user in users:
            await context.sql.make_any_user(connection, user_id=user)
            jobs.append(
                await context.sql.enqueue(connection, job_type=context.job_type, created_by=user)
            )
            generations.append(
                await context.sql.make_generation_of(connection, user_id=user, run=context.run)
            )
        seen = [await _seen_by(context, connection, user, jobs, generations) for user in users]
    for number, rows in enumerate(seen):
        _expect("job_queue", rows["jobs"], jobs, number)
        _expect("image_generations", rows["generations"], generations, number)
    return "Each of two users saw their own job and generation, and not the other's."


async def _seen_by(
    context: RunContext, connection: Any, user: UUID, jobs: list[UUID], generations: list[UUID]
) -> Mapping[str, list[UUID]]:
    claims = {"sub": str(user), "role": "authenticated", "aud": "authenticated"}
    async with connection.transaction(force_rollback=True):
        await context.sql.become(connection, claims=json.dumps(claims))
        seen: Mapping[str, list[UUID]] = await context.sql.visible(
            connection, job_ids=jobs, generation_ids=generations
        )
        return seen


def _expect(table: str, seen: list[UUID], rows: list[UUID], user: int) -> None:
    if seen == [rows[user]]:
        return
    what = "another user's row" if rows[1 - user] in seen else "not even the own row"
    policy = OWN_ROWS[table]
    raise CheckFailed(
        f"In {table} a signed-in user saw {what}.",
        f"A policy of {table} lets through too much or too little. Look at all of them in psql:"
        f" \\d public.{table}\n"
        "Drop those that are not ours, and put ours back:\n\n"
        f'drop policy if exists "{policy}" on public.{table};\n'
        f"{definitions()['policy', policy].sql()}",
    )


def _faults(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Faults in a table's row-level security, each with the SQL that fixes it."""
    name, policy = table["table"], OWN_ROWS[table["table"]]
    found = []
    if not table["secured"]:
        found.append(
            (
                f"Row-level security of {name} is off",
                f"alter table public.{name} enable row level security;",
            )
        )
    if not table["readable"]:
        found.append(
            (
                f"Signed-in users may not read {name}",
                f"grant select on public.{name} to authenticated;",
            )
        )
    if policy not in table["policies"]:
        found.append((f'{name} lacks the policy "{policy}"', definitions()["policy", policy].sql()))
    if SERVICE not in table["policies"]:
        found.append(
            (
                f'{name} lacks the policy "{SERVICE}"',
                f'create policy "{SERVICE}" on public.{name}\n'
                "    for all to service_role using (true) with check (true);",
            )
        )
    return found
