"""Check that clients receive the changes of a generation."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from lib.checks.expected_schema import definitions
from lib.checks.selftest.check import CheckFailed
from lib.checks.selftest.context import RunContext
from lib.database import notifications

CHANNEL = "image_generations"
TRIGGER = "image_generations_changed"
RECEIVE_SECONDS = 5.0
"""How long a notification may take to arrive."""


async def changes_arrive(context: RunContext) -> str:
    """Changes arrive over Supabase Realtime, or by NOTIFY without a Supabase project."""
    if context.target.supabase_url:
        # Imported lazily: loading it takes half a second.
        from lib.checks.selftest.supabase_realtime import changes_arrive as by_supabase

        return await by_supabase(context)
    return await _by_notify(context)


async def _by_notify(context: RunContext) -> str:
    stream = notifications(context.target.database_url, CHANNEL)
    # The first item only confirms that the listener is ready.
    await anext(stream)
    generation_id: UUID = await context.query("make_generation", run=context.run)
    if not await _receives(stream, generation_id):
        raise await _not_received(context, "a new generation")
    await context.query("progress", generation_id=generation_id, progress=50)
    if not await _receives(stream, generation_id):
        raise await _not_received(context, "its progress")
    return f"A new generation and its progress were told on channel {CHANNEL}."


async def _receives(stream: AsyncIterator[str], generation_id: UUID) -> bool:
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            while await anext(stream) != str(generation_id):
                pass
    except TimeoutError:
        return False
    return True


async def _not_received(context: RunContext, what: str) -> CheckFailed:
    problem = f"Nothing was heard of {what} on channel {CHANNEL} within {RECEIVE_SECONDS:g} s"
    if not await context.query("has_trigger", name=TRIGGER):
        return CheckFailed(
            f"{problem}: the trigger {TRIGGER} is missing or disabled.",
            "Run this SQL in the database:\n\n"
            f"drop trigger if exists {TRIGGER} on public.image_generations;\n"
            f"{definitions()['trigger', TRIGGER].sql()}",
        )
    return CheckFailed(
        f"{problem}, though the trigger {TRIGGER} is there.",
        "A transaction pooler passes no notifications on: let DATABASE_URL go to port 5432 in"
        " place of 6543. If it does, the trigger's function was changed. Put it back:\n\n"
        + "\n".join(
            [
                f"drop trigger {TRIGGER} on public.image_generations;",
                "drop function public.tell_generation_change;",
                definitions()["function", "tell_generation_change"].sql(),
                definitions()["trigger", TRIGGER].sql(),
            ]
        ),
    )
