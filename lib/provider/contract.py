"""The interface of model providers, and their errors.

Every provider can create, follow and cancel predictions and serve their outputs. Everything else
is a capability: check `provider.capabilities`, never which provider it is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

FINISHED = frozenset({"succeeded", "failed", "canceled", "aborted"})
TRANSIENT = frozenset({"rate_limited", "provider_error", "unreachable", "image_unreachable"})
"""Codes of errors that resolve by themselves."""
DOWNLOAD_SECONDS = 60.0
"""How long a download may take unless the caller sets a deadline."""
CANCEL_MARGIN_SECONDS = 5.0
"""How long after our own deadline the provider cancels a prediction by itself."""


class Capability(Enum):
    """A feature that only some providers have."""

    GET = "get"
    """`get` reads a prediction by its ID, even in a process that did not create it."""
    LIST = "list"
    """The newest predictions can be listed with their inputs."""
    MODEL = "model"
    """The provider publishes the inputs of its models."""
    WEBHOOK = "webhook"
    """The provider calls a URL of ours when a prediction ends."""
    OWN_ID = "own_id"
    """Predictions are created under an ID of our choice.

    So one whose creation nobody heard of can be cancelled, if it runs.
    """


class ProviderError(Exception):
    """A request failed; the message is a sentence for operators.

    `code` names the kind of error; `permanent` means that the same request cannot succeed later;
    `retry_after` is the minimum wait in seconds that the provider asked for; `status` is the HTTP
    status, None without a response; `no_effect` means that the request certainly changed nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        permanent: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
        no_effect: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent
        self.retry_after = retry_after
        self.status = status
        self.no_effect = no_effect


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a prediction ended without an image, in a sentence, as in ProviderError."""

    message: str
    code: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """One run of a model.

    `status` is starting, processing, succeeded, failed, canceled or aborted (its deadline passed
    before it started); `output` holds the URLs of its images: http, https or data.
    """

    id: str
    model: str
    status: str
    output: list[str]
    error: str | None
    logs: str
    progress: int | None
    """Progress in percent, from the last progress bar in the logs; None without one."""
    predict_seconds: float | None = None
    """How long the model ran, as the provider bills it; None until it has ended."""
    created_at: datetime | None = None
    """By the provider's clock."""
    failure: Failure | None = None
    """Why it ended without an image, if the provider's words are known."""

    @property
    def finished(self) -> bool:
        """Whether the status is final."""
        return self.status in FINISHED

    @property
    def images(self) -> list[str]:
        """The URLs of its images. Raises ProviderError if it ended without any."""
        if self.status == "succeeded" and self.output:
            return self.output
        how = {"canceled": "was cancelled", "aborted": "was aborted"}.get(self.status, self.status)
        failure = self.failure or Failure(
            f"{self.model} succeeded but returned no image."
            if self.status == "succeeded"
            else f"{self.model} {how}: {self.error or 'no error message'}",
            code="prediction_failed",
            # Another one would be paid for, and most likely have none.
            permanent=self.status == "succeeded",
        )
        raise ProviderError(failure.message, code=failure.code, permanent=failure.permanent)


@dataclass(frozen=True, slots=True)
class ListedPrediction:
    """A prediction as the provider lists it."""

    id: str
    model: str
    version: str | None
    input: Mapping[str, Any] | None
    """As it was sent; None once the provider has removed it."""
    status: str
    created_at: datetime
    """By the provider's clock."""


@dataclass(frozen=True, slots=True)
class PredictionList:
    """Predictions of the account, newest first."""

    predictions: list[ListedPrediction]
    complete: bool
    """False if there were more pages than are read, or entries that could not be read."""


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A model as its provider publishes it."""

    id: str
    official: bool
    version: str | None
    """The version that requests must name; None for an official model."""
    inputs: Mapping[str, Mapping[str, Any]]
    """Each input by name, in the form of models.input_schema."""
    output_shape: str | None
    """uri (one file), uri[] (a list) or None if it is not published."""
    makes: str | None
    """What it makes instead of images, such as "text" or "mp4 files"; None for images."""
    provider: str = "replicate"
    provider_url: str | None = None
    """The address of its own server; None for a provider with one address for all models."""


class Provider(Protocol):
    """A connection to a provider. Every method raises ProviderError."""

    @property
    def name(self) -> str:
        """Its name in the table predictions."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The optional features that this provider has."""

    @property
    def reads_addresses(self) -> bool:
        """Whether it fetches https addresses in inputs itself, from outside our network."""

    async def give_file(self, name: str, content: bytes, content_type: str) -> str:
        """Make a file readable to the provider for an hour, and return what the input says for it.

        Not repeated if the provider may have received it.
        """

    async def create(
        self,
        model: str,
        input: Mapping[str, Any],
        *,
        version: str | None = None,
        cancel_after: float | None = None,
        wait_out_rate_limits: bool = True,
        own_id: str | None = None,
    ) -> Prediction:
        """Create a prediction, which the provider cancels after `cancel_after` seconds.

        A request that may have been accepted is never resent. If `wait_out_rate_limits` is False,
        a rate limit raises immediately. `own_id` becomes its ID with Capability.OWN_ID. Raises code
        "provider_busy" if a server that runs only so many predictions takes none now.
        """

    async def get(self, prediction_id: str) -> Prediction:
        """The current state of a prediction; needs Capability.GET.

        Raises code "prediction_not_found" once the provider has removed it.
        """

    async def list_since(self, created_after: datetime) -> PredictionList:
        """All predictions of the account created at or after a time; needs Capability.LIST."""

    async def model(self, model: str, *, version: str | None = None) -> PublishedModel:
        """A model, by default in its latest version; needs Capability.MODEL.

        Raises code "model_not_found" if it does not exist or is private to another account.
        """

    def follow(
        self,
        prediction: Prediction,
        *,
        deadline: float,
        since: float | None = None,
        may_cancel: Callable[[], Awaitable[bool]] | None = None,
    ) -> AsyncIterator[Prediction]:
        """Yield every new state of a prediction until it ends.

        `deadline` seconds after `since`, a time of the event loop's clock that is now by default,
        it is cancelled, unless `may_cancel` says no, and code
        "deadline_exceeded" raised.
        """

    async def cancel(self, prediction_id: str) -> Prediction:
        """Cancel a prediction and return its state; a finished one is unchanged.

        Raises code "prediction_not_found" if the provider does not know it.
        """

    async def download(self, url: str, *, deadline: float = DOWNLOAD_SECONDS) -> bytes:
        """Download an image of a prediction's output within `deadline` seconds.

        An error says nothing about the provider: code "image_not_found" if the address is refused,
        leads into a private network or is not https, "image_unreachable" if its server does not
        answer now.
        """

    async def aclose(self) -> None:
        """Close the connections."""
