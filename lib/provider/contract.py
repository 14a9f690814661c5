"""What a provider of models does for us, and how its errors reach the queue.

Every provider starts predictions, follows and cancels them, and serves their outputs. The rest
are capabilities: ask `provider.capabilities`, never which provider it is.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

FINISHED = frozenset({"succeeded", "failed", "canceled", "aborted"})
TRANSIENT = frozenset({"rate_limited", "provider_error", "unreachable"})
"""Codes of errors that pass without anybody's action."""
CANCEL_MARGIN_SECONDS = 5.0
"""How long after its deadline the provider cancels a prediction that nobody follows any more."""


class Capability(Enum):
    """What only some providers can do."""

    GET = "get"
    """`get` reads a prediction by its id, also in another process than the one that created it."""
    LIST = "list"
    """The newest predictions can be listed with their inputs."""
    WEBHOOK = "webhook"
    """The provider calls a URL of ours when a prediction ends."""
    OWN_ID = "own_id"
    """A prediction can be created under an id of our choice, so that a repeat creates no second."""


class ProviderError(Exception):
    """A request did not do what was asked; the message is a sentence for operators.

    `code` names the kind of error; `permanent` says that the same request cannot succeed later;
    `retry_after` is the minimum wait in seconds that the provider asked for; `status` is the HTTP
    status, None when there was no answer.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        permanent: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent
        self.retry_after = retry_after
        self.status = status


@dataclass(frozen=True, slots=True)
class Prediction:
    """One run of a model.

    `status` is starting, processing, succeeded, failed, canceled or aborted (its deadline passed
    before it started); `output` holds the URLs of its images.
    """

    id: str
    model: str
    status: str
    output: list[str]
    error: str | None
    logs: str
    progress: int | None
    """Percent done, 0 to 100, from the last progress bar in the logs; None without one."""

    @property
    def finished(self) -> bool:
        """Whether the state is final."""
        return self.status in FINISHED

    @property
    def image(self) -> str:
        """The URL of its first image. Raises ProviderError when it ended without one."""
        if self.status == "succeeded" and self.output:
            return self.output[0]
        reason = self.error or "no image came back"
        raise ProviderError(
            f"{self.model} ended as {self.status}: {reason}", code="prediction_failed"
        )


class Provider(Protocol):
    """A connection to a provider. Every method raises ProviderError."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this provider can do beyond the methods that all have."""

    async def create(
        self,
        model: str,
        input: Mapping[str, Any],
        *,
        version: str | None = None,
        cancel_after: float | None = None,
        wait_out_limits: bool = True,
    ) -> Prediction:
        """Start a prediction, which the provider cancels after `cancel_after` seconds.

        A request that may have been accepted is never sent again. With `wait_out_limits` False a
        rate limit raises at once instead of being waited out.
        """

    async def get(self, prediction_id: str) -> Prediction:
        """The state of a prediction; needs Capability.GET.

        Raises code "prediction_not_found" once the provider has removed it.
        """

    def follow(self, prediction: Prediction, *, deadline: float) -> AsyncIterator[Prediction]:
        """Every new state of a prediction until it ends.

        After `deadline` seconds it is cancelled and code "deadline_exceeded" raised.
        """

    async def cancel(self, prediction_id: str) -> Prediction:
        """Cancel a prediction and return its state; one that has ended stays as it is."""

    async def download(self, url: str) -> bytes:
        """An image of a prediction's output."""

    async def aclose(self) -> None:
        """Close the connections."""
