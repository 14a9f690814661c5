"""Check that clients receive the changes of a generation."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from lib.checks.check import Finding, run_sql
from lib.checks.expected_schema import function, restore
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.result import CheckFailed
from lib.database import notifications

CHANNEL = "image_generations"
TRIGGER = "image_generations_changed on image_generations"
RECEIVE_SECONDS = 5.0
"""How long a notification may take to arrive."""


async def changes_arrive(context: RunContext) -> Finding:
    """Changes arrive over Supabase Realtime, or by NOTIFY without a Supabase project."""
    if context.target.supabase_url:
        # Imported lazily: loading it takes half a second.
        from lib.checks.selftest.supabase_realtime import changes_arrive as by_supabase

        return await by_supabase(context)
    return await _by_notify(context)


async def _by_notify(context: RunContext) -> Finding:
    stream = notifications(context.target.database_url, CHANNEL)
    # The first item only confirms that the listener is ready.
    await anext(stream)
    generation_id: UUID = await context.query("make_generation", run=context.run)
    if not await _receives(stream, generation_id):
        raise await _not_received(context, "a new generation")
    await context.query("progress", generation_id=generation_id, progress=50)
    if not await _receives(stream, generation_id):
        raise await _not_received(context, "the generation's progress")
    return Finding("ok", f"A new generation and its progress were received on channel {CHANNEL}.")


async def _receives(stream: AsyncIterator[str], generation_id: UUID) -> bool:
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            while await anext(stream) != str(generation_id):
                pass
    except TimeoutError:
        return False
    return True


async def _not_received(context: RunContext, what: str) -> CheckFailed:
    problem = (
        f"No notification of {what} was received on channel {CHANNEL} within {RECEIVE_SECONDS:g} s"
    )
    trigger = restore("trigger", TRIGGER)
    if any(difference.name == TRIGGER for difference in await context.differences("trigger")):
        return CheckFailed(
            f"{problem}: trigger {TRIGGER} is missing or disabled.", run_sql([trigger])
        )
    return CheckFailed(
        f"{problem}, although trigger {TRIGGER} exists.",
        run_sql(
            [restore("function", function("tell_generation_change")), trigger],
            "A transaction pooler does not pass notifications on. Use port 5432 instead of 6543 in"
            " DATABASE_URL. If it already uses port 5432, the trigger's function was changed. "
            "Restore the function:",
        ),
    )
