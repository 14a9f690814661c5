"""Check that signed-in users see only their own jobs and generations."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from lib.checks.check import Finding, run_sql
from lib.checks.expected_schema import Difference, create, expected
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.result import CheckFailed

OWN_ROWS = {
    "job_queue": '"Users can view their own jobs" on job_queue',
    "image_generations": '"Users can view their own generations" on image_generations',
}
"""The policy by which users read their own rows, for each table."""


async def users_see_their_own(context: RunContext) -> Finding:
    """Two users each see only their own rows; runs in a transaction that is rolled back."""
    if broken := [fault for fault in await context.differences() if _concerns_own_rows(fault)]:
        todo = run_sql(fault.sql for fault in broken)
        raise CheckFailed("; ".join(fault.text for fault in broken) + ".", todo)
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
    return Finding("ok", "Each of two users saw only their own job and generation.")


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
    what = "another user's row" if rows[1 - user] in seen else "no row, not even their own"
    raise CheckFailed(
        f"In {table} a signed-in user saw {what}.",
        run_sql(
            [
                f"drop policy if exists {OWN_ROWS[table].replace(' on ', ' on public.')};",
                create("policy", OWN_ROWS[table]),
            ],
            f"A policy of {table} allows too much or too little. List its policies in psql: \\d"
            f" public.{table}\n"
            "Drop those that are not Darkroom's, and restore Darkroom's:",
        ),
    )


def _concerns_own_rows(fault: Difference) -> bool:
    table = expected()[fault.kind][fault.name].get("table", fault.name)
    return fault.area in ("row-security", "grants") and table in OWN_ROWS
