"""Which handler runs which type of job.

A handler is an asynchronous function of a claim that returns the job's result. To add a job type,
write its handler and name it in `handlers`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from lib.generation.generate_image import GenerationHandler
from lib.provider import Provider
from lib.queue.worker_calls import Claim, Queue
from lib.storage import Storage

Handler = Callable[[Claim], Awaitable[Mapping[str, Any]]]
"""Runs one job and returns its result; raises JobFailed or ClaimLost."""


@runtime_checkable
class Cancellable(Protocol):
    """A handler that has something to undo outside when its job is cancelled."""

    async def cancel(self, claim: Claim) -> None:
        """Called after the handler's run for the claim was stopped."""


def handlers(
    queue: Queue, provider: Provider, storage: Storage, *, generation_seconds: float
) -> Mapping[str, Handler]:
    """The handler of each job type. `generation_seconds` is the longest run of a prediction."""
    return {
        "generate-image": GenerationHandler(
            queue, provider, storage, deadline_seconds=generation_seconds
        )
    }
