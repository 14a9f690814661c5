"""The handler of each job type.

A handler is an async callable that takes a claim and returns the job's result. To add a job type,
write its handler and add it to `handlers`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from lib.generation.generate_image import GenerationHandler
from lib.generation.prompt_check import PromptCheck
from lib.provider import Providers
from lib.queue.worker_calls import Claim, Queue
from lib.storage import Outage, Storage

Handler = Callable[[Claim], Awaitable[Mapping[str, Any]]]
"""Runs a job and returns its result; raises JobFailed or ClaimLost."""


@runtime_checkable
class NeedsStorage(Protocol):
    """A handler that stores files: its jobs are not claimed while its storage takes none."""

    @property
    def outage(self) -> Outage:
        """Whether the storage takes files."""


@runtime_checkable
class Cancellable(Protocol):
    """A handler with external work to cancel when its job is cancelled."""

    async def cancel(self, claim: Claim) -> None:
        """Called after the handler was stopped for this claim."""


def blocked_types(handlers: Mapping[str, object]) -> dict[str, Outage]:
    """The job types that cannot run now because their storage takes no files."""
    return {
        job_type: handler.outage
        for job_type, handler in handlers.items()
        if isinstance(handler, NeedsStorage) and handler.outage.reason
    }


def handlers(
    queue: Queue,
    providers: Providers,
    storage: Storage,
    *,
    generation_seconds: float,
    prompt_check: Callable[..., Any] | None = None,
) -> Mapping[str, Handler]:
    """The handler of each job type.

    `generation_seconds` is the deadline of a prediction, `prompt_check` the team's function.
    """
    return {
        "generate-image": GenerationHandler(
            queue,
            providers,
            storage,
            deadline_seconds=generation_seconds,
            prompt_check=PromptCheck(prompt_check) if prompt_check else None,
        )
    }
