"""Client of a Cog server: run predictions, cancel them, read the schema, download output files.

Cog runs a prediction inside the request that creates it, and forgets it when it ends: there is
neither a way to read one nor a list. If the connection closes, Cog cancels the prediction.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

import httpx

from lib.provider.answers import json_object, unexpected
from lib.provider.cog.errors import error_from_health, error_from_response
from lib.provider.contract import (
    DOWNLOAD_SECONDS,
    Capability,
    Prediction,
    PredictionList,
    ProviderError,
    PublishedModel,
)
from lib.provider.files import OutputFiles, read
from lib.provider.prediction import PREDICTION_ID, parse_prediction
from lib.provider.retry import NOT_SENT_ERRORS
from lib.provider.schemas import inputs_of, output_of, schemas_of

logger = logging.getLogger(__name__)

REFUSAL_SECONDS = 1.0
"""How soon after a request a server that does not run it says so."""
CANCEL_SECONDS, CANCEL_POLL_SECONDS = 5.0, 0.25
"""How long a cancelled prediction may take to stop before it counts as running, and the poll."""
MAX_ANSWER_BYTES = 100_000_000
"""Of a prediction: it contains the output files."""
MAX_OTHER_BYTES = 10_000_000
MAX_WAIT_SECONDS = 20.0
"""How long a download waits in all before it is tried again."""
KEPT_SECONDS = 60.0
"""How long the end of a prediction is kept for `follow`."""


class Cog:
    """A client of the Cog server at `url`. Every method raises ProviderError."""

    name = "cog"
    capabilities = frozenset({Capability.MODEL, Capability.OWN_ID})
    reads_addresses = False

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._base = httpx.URL(url.rstrip("/"))
        self._place = self._base.netloc.decode()
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(30, connect=5),
            # A transport of its own uses no proxy, which would not know one's own network.
            transport=transport or httpx.AsyncHTTPTransport(),
        )
        self._files = OutputFiles([self._base], transport=transport)
        self._running: dict[str, asyncio.Task[Prediction]] = {}

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
        """Start a prediction under `own_id`.

        It has started if the server does not refuse it soon after the request: code
        "provider_busy" if it runs as much as it can, or is starting. The server has only one
        version of one model, no deadlines and no rate limits. The caller must `follow` or `cancel`.
        """
        prediction_id = own_id or uuid4().hex
        sent = asyncio.Event()
        running = asyncio.create_task(self._run(prediction_id, model, input, sent))
        running.add_done_callback(partial(self._ended, prediction_id, sent))
        try:
            await sent.wait()
            await asyncio.wait([running], timeout=REFUSAL_SECONDS)
        except asyncio.CancelledError:
            running.cancel()
            raise
        if running.done():
            return running.result()
        self._running[prediction_id] = running
        return _prediction(prediction_id, model, "processing")

    async def get(self, prediction_id: str) -> Prediction:
        """Not available: needs Capability.GET."""
        raise NotImplementedError

    async def list_since(self, created_after: datetime) -> PredictionList:
        """Not available: needs Capability.LIST."""
        raise NotImplementedError

    async def model(self, model: str, *, version: str | None = None) -> PublishedModel:
        """The model that the server runs, under the name `model`; it has only one version."""
        body = await self._send("GET", "/openapi.json", model=model, limit=MAX_OTHER_BYTES)
        schemas = schemas_of(json_object(body))
        shape, makes = output_of(schemas)
        return PublishedModel(
            id=model,
            official=False,
            version=None,
            inputs=inputs_of(schemas),
            output_shape=shape,
            makes=makes,
            provider=self.name,
            provider_url=str(self._base),
        )

    async def follow(
        self,
        prediction: Prediction,
        *,
        deadline: float,
        since: float | None = None,
        may_cancel: Callable[[], Awaitable[bool]] | None = None,
    ) -> AsyncIterator[Prediction]:
        """Yield the end of a prediction that this client started.

        Past the deadline it is cancelled, whatever `may_cancel` says: nobody else could hear its
        end.
        """
        if prediction.finished:
            return
        running = self._running.pop(prediction.id, None)
        if running is None:
            raise _not_found(prediction.id)
        until = (asyncio.get_running_loop().time() if since is None else since) + deadline
        try:
            async with asyncio.timeout_at(until):
                ended = await running
        except TimeoutError as error:
            # The closed connection has cancelled it too.
            with suppress(ProviderError):
                await self.cancel(prediction.id)
            raise ProviderError(
                f"{prediction.model} took longer than {deadline:g} s and was cancelled.",
                code="deadline_exceeded",
            ) from error
        # Outside of the timeout, which would cancel what the caller does with it.
        yield ended

    async def cancel(self, prediction_id: str) -> Prediction:
        """Cancel a prediction and wait until it has stopped; "processing" if it does not in time.

        Raises code "prediction_not_found" if it does not run.
        """
        if not PREDICTION_ID.fullmatch(prediction_id):
            raise _not_found(prediction_id)
        if running := self._running.pop(prediction_id, None):
            running.cancel()
        path = f"/predictions/{prediction_id}/cancel"
        await self._send("POST", path, limit=MAX_OTHER_BYTES, not_found=prediction_id)
        until = asyncio.get_running_loop().time() + CANCEL_SECONDS
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(CANCEL_POLL_SECONDS)
            try:
                await self._send("POST", path, limit=MAX_OTHER_BYTES, not_found=prediction_id)
            except ProviderError as error:
                if error.code != "prediction_not_found":
                    raise
                return _prediction(prediction_id, "", "canceled")
        return _prediction(prediction_id, "", "processing")

    async def give_file(self, name: str, content: bytes, content_type: str) -> str:
        """A file as a data URI, which is part of the input."""
        return f"data:{content_type};base64,{b64encode(content).decode()}"

    async def download(self, url: str, *, deadline: float = DOWNLOAD_SECONDS) -> bytes:
        """Read an image from the answer, or download it from the server, at most 50 MB."""
        return await self._files.download(url, deadline=deadline, max_wait=MAX_WAIT_SECONDS)

    async def aclose(self) -> None:
        """Cancel what runs and close the connections."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._http.aclose()
        await self._files.aclose()

    async def _run(
        self, prediction_id: str, model: str, input: Mapping[str, Any], sent: asyncio.Event
    ) -> Prediction:
        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            if event.endswith("send_request_body.complete"):
                sent.set()

        body = await self._send(
            "PUT",
            f"/predictions/{prediction_id}",
            model=model,
            limit=MAX_ANSWER_BYTES,
            json={"input": dict(input)},
            # It takes as long as it takes; `follow` has the deadline.
            timeout=httpx.Timeout(30, connect=5, read=None),
            extensions={"trace": trace},
        )
        # Of many megabytes; the heartbeats must not wait.
        state = await asyncio.to_thread(parse_prediction, body, model)
        if state.id != prediction_id:
            raise unexpected(f"for prediction {prediction_id} describes another one")
        if not state.finished:
            # Of an earlier request, whose answer will have the end. The next attempt cancels it.
            raise ProviderError(
                f"The Cog server for {model} is already running prediction {prediction_id}.",
                code="creation_unknown",
            )
        return state

    def _ended(
        self, prediction_id: str, sent: asyncio.Event, task: asyncio.Task[Prediction]
    ) -> None:
        sent.set()
        if not task.cancelled():
            # Fetched, or Python would report an error that nobody waits for.
            task.exception()
        task.get_loop().call_later(KEPT_SECONDS, self._running.pop, prediction_id, None)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        model: str = "this model",
        not_found: str | None = None,
        **options: Any,
    ) -> bytes:
        """The body of a successful response; `not_found` is the prediction that a 404 is about.

        Users read the errors, so these name the model; the log has the address.
        """
        url = httpx.URL(f"{self._base}{path}")
        began = asyncio.get_running_loop().time()
        try:
            async with self._http.stream(method, url, **options) as response:
                body = await read(response, limit, "the prediction")
        except httpx.RequestError as error:
            logger.warning(
                "The Cog server at %s does not respond (%s)", self._place, type(error).__name__
            )
            raise ProviderError(
                f"The Cog server for {model} does not respond ({type(error).__name__}).",
                code="unreachable",
                no_effect=isinstance(error, NOT_SENT_ERRORS),
            ) from error
        if response.is_success:
            return body
        if response.status_code == 404 and not_found is not None:
            raise _not_found(not_found)
        seconds = asyncio.get_running_loop().time() - began
        refusal = error_from_response(response, body, model, late=seconds > REFUSAL_SECONDS)
        if refusal.status == 503 and refusal.no_effect and (reason := await self._reason(model)):
            raise reason
        if refusal.code != "provider_busy":
            logger.warning("Cog server at %s: %s", self._place, refusal)
        raise refusal

    async def _reason(self, model: str) -> ProviderError | None:
        """Why the server runs no predictions, if its health check says."""
        try:
            response = await self._http.get(f"{self._base}/health-check", timeout=10)
            reason = error_from_health(response.content, model)
        except (httpx.RequestError, ProviderError):
            return None
        if reason and reason.code != "provider_busy":
            logger.warning("Cog server at %s: %s", self._place, reason)
        return reason


def _prediction(prediction_id: str, model: str, status: str) -> Prediction:
    return Prediction(prediction_id, model, status, [], None, "", None)


def _not_found(prediction_id: str) -> ProviderError:
    return ProviderError(
        f"The Cog server is not running prediction {prediction_id}.", code="prediction_not_found"
    )
