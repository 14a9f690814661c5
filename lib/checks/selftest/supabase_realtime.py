"""Do changes of a generation arrive over Supabase Realtime?"""

import asyncio
from uuid import UUID

from realtime import RealtimePostgresChangesListenEvent, RealtimeSubscribeStates
from websockets.exceptions import WebSocketException

from lib.checks.selftest.check import CheckFailed
from lib.checks.selftest.trial import Trial
from supabase import acreate_client

AGAIN_SECONDS = 1.0
"""A subscription hears only what happens a moment after it was answered."""
HEAR_SECONDS = 20.0
REPAIR = (
    "The table is in the publication. In the project's dashboard look whether Realtime is enabled"
    " and within its limits of connections and messages, and whether SUPABASE_URL and"
    " SUPABASE_SECRET_KEY belong to the same project as DATABASE_URL."
)


async def changes_arrive(trial: Trial) -> str:
    """Subscribes to one generation with the secret key and waits for a change of its progress."""
    await _check_publication(trial)
    generation_id: UUID = await trial.ask("make_generation", run=trial.run)
    client = await acreate_client(trial.target.supabase_url or "", trial.target.keys.secret)
    heard, states = asyncio.Event(), asyncio.Queue[RealtimeSubscribeStates]()
    channel = client.channel(f"self-test-{trial.run}")
    channel.on_postgres_changes(
        RealtimePostgresChangesListenEvent.Update,
        lambda _: heard.set(),
        schema="public",
        table="image_generations",
        filter=f"id=eq.{generation_id}",
    )
    came = "no answer"
    try:
        async with asyncio.timeout(HEAR_SECONDS):
            await channel.subscribe(lambda state, _: states.put_nowait(state))
            came = f"the subscription was answered with {(await states.get()).value}"
            progress = 0
            while not heard.is_set():
                progress = progress % 99 + 1
                await trial.ask("progress", generation_id=generation_id, progress=progress)
                await asyncio.wait([asyncio.create_task(heard.wait())], timeout=AGAIN_SECONDS)
    except TimeoutError:
        raise CheckFailed(
            f"No change of a generation arrived within {HEAR_SECONDS:g} s: {came}.", REPAIR
        ) from None
    except (OSError, WebSocketException) as error:
        raise CheckFailed(f"Realtime does not answer: {type(error).__name__}.", REPAIR) from error
    finally:
        await client.remove_all_channels()
    return "A change of a generation arrived over Supabase Realtime."


async def _check_publication(trial: Trial) -> None:
    found = await trial.ask("published")
    add = "alter publication supabase_realtime add table public.image_generations;"
    if not found["exists"]:
        raise CheckFailed(
            "There is no publication supabase_realtime.",
            f"Run this SQL in the database:\n\ncreate publication supabase_realtime;\n{add}",
        )
    if not found["published"]:
        raise CheckFailed(
            "The table image_generations is not in the publication supabase_realtime.",
            f"Run this SQL in the database:\n\n{add}",
        )
