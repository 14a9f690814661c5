"""Batches of jobs that a call of process-jobs starts and does not wait for to the end."""

import asyncio
import logging

from lib.worker.worker import Worker

logger = logging.getLogger(__name__)


class Batches:
    """The running batches of a process."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], Worker] = {}

    @property
    def running(self) -> int:
        """The number of jobs that all batches hold."""
        return sum(worker.running for worker in self._tasks.values())

    async def run(self, worker: Worker, seconds: float) -> None:
        """Run a worker's batch. Returns after `seconds`; an unfinished batch continues.

        Together, the batches run no more jobs than one worker may. Raises an error of the batch if
        it fails in that time; a later one is logged.
        """
        # Before the task starts: the next call may come first.
        worker.limit_batch(sum(each.taken_by_batch for each in self._tasks.values()))
        task = asyncio.create_task(worker.run_batch())
        self._tasks[task] = worker
        task.add_done_callback(self._tasks.pop)
        await asyncio.wait([task], timeout=seconds)
        if task.done():
            task.result()
        else:
            task.add_done_callback(_log_error)

    async def finish(self) -> None:
        """Wait for all batches to end."""
        if self._tasks:
            await asyncio.wait(self._tasks)


def _log_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("A batch of process-jobs failed: %s", error, exc_info=error)
