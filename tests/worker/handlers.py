"""What jobs do in these tests."""

import asyncio

from lib.queue.worker_calls import Claim


async def forever(_claim: Claim):
    await asyncio.Event().wait()


async def succeed(_claim: Claim):
    return {}
