"""Batches of process-jobs: together no more jobs than one worker runs."""

import asyncio

from lib.worker.batches import Batches


async def test_calls_at_the_same_moment_share_the_limit_of_jobs(enqueue, make_worker):
    for _ in range(5):
        enqueue()
    release = asyncio.Event()

    async def wait(_claim):
        await release.wait()
        return {}

    batches = Batches()
    workers = [make_worker(wait, kind="process-jobs", concurrency=2) for _ in range(2)]
    await asyncio.gather(*(batches.run(worker, 0.5) for worker in workers))
    assert batches.running == 2
    release.set()
    await batches.finish()
    assert [worker.processed for worker in workers] == [2, 0]
