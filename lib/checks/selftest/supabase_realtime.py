"""Check that changes of a generation arrive over Supabase Realtime."""

import asyncio
from uuid import UUID

from realtime import RealtimePostgresChangesListenEvent, RealtimeSubscribeStates
from websockets.exceptions import WebSocketException

from lib.checks.check import Finding, run_sql
from lib.checks.selftest.context import RunContext
from lib.checks.selftest.result import CheckFailed
from supabase import acreate_client

RETRY_SECONDS = 1.0
"""Interval between updates: a new subscription misses changes for a moment."""
RECEIVE_SECONDS = 20.0
REPAIR = (
    "The table is in the publication. Check in the project's dashboard that Realtime is enabled"
    " and within its connection and message limits, and that SUPABASE_URL and"
    " SUPABASE_SECRET_KEY belong to the same project as DATABASE_URL."
)


async def changes_arrive(context: RunContext) -> Finding:
    """Subscribe to a generation with the secret key and wait for a progress update."""
    await _check_publication(context)
    generation_id: UUID = await context.query("make_generation", run=context.run)
    client = await acreate_client(context.target.supabase_url or "", context.target.keys.secret)
    received, states = asyncio.Event(), asyncio.Queue[RealtimeSubscribeStates]()
    channel = client.channel(f"self-test-{context.run}")
    channel.on_postgres_changes(
        RealtimePostgresChangesListenEvent.Update,
        lambda _: received.set(),
        schema="public",
        table="image_generations",
        filter=f"id=eq.{generation_id}",
    )
    problem = "no response"
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            await channel.subscribe(lambda state, _: states.put_nowait(state))
            problem = f"the subscription was in state {(await states.get()).value}"
            progress = 0
            while not received.is_set():
                progress = progress % 99 + 1
                await context.query("progress", generation_id=generation_id, progress=progress)
                await asyncio.wait([asyncio.create_task(received.wait())], timeout=RETRY_SECONDS)
    except TimeoutError:
        raise CheckFailed(
            f"No change to a generation arrived within {RECEIVE_SECONDS:g} s: {problem}.", REPAIR
        ) from None
    # ImportError: websockets lacks the package for a SOCKS proxy.
    except (OSError, WebSocketException, ImportError) as error:
        raise CheckFailed(f"Realtime does not respond: {type(error).__name__}.", REPAIR) from error
    finally:
        await client.remove_all_channels()
    return Finding("ok", "A change to a generation arrived over Supabase Realtime.")


async def _check_publication(context: RunContext) -> None:
    found = await context.query("published")
    add = "alter publication supabase_realtime add table public.image_generations;"
    if not found["exists"]:
        raise CheckFailed(
            "There is no publication supabase_realtime.",
            run_sql(["create publication supabase_realtime;", add]),
        )
    if not found["published"]:
        raise CheckFailed(
            "The table image_generations is not in the publication supabase_realtime.",
            run_sql([add]),
        )
