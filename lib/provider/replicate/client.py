"""Client of Replicate's HTTP API: create, list, follow and cancel predictions, fetch images."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import httpx

from lib.provider.contract import (
    DOWNLOAD_SECONDS,
    Capability,
    Prediction,
    PredictionList,
    ProviderError,
    PublishedModel,
)
from lib.provider.replicate.addresses import parse_file, prediction_path
from lib.provider.replicate.errors import error_from_response
from lib.provider.replicate.files import OutputFiles, read
from lib.provider.replicate.model import model_path, parse_model
from lib.provider.replicate.prediction import Page, parse_page, parse_prediction
from lib.provider.replicate.retry import (
    NOT_SENT_ERRORS,
    not_accepted,
    retry,
    safe_to_resend,
    transient,
)

REQUEST_TIMEOUT_SECONDS = 60
"""Timeout for one request, including reading the whole response."""
MAX_RESPONSE_BYTES = 10_000_000
MAX_PAGES, MAX_PAGE_BYTES = 50, 50_000_000
"""Of a list, with 100 predictions a page; inputs may contain images."""
FIRST_POLL_SECONDS, MAX_POLL_SECONDS, POLL_GROWTH = 0.25, 2.0, 1.25


class Replicate:
    """A client of Replicate, or of a compatible API at `base_url`.

    Each call retries transient errors, waiting at most `max_wait` seconds in total. If the
    provider asks for longer, the call raises immediately with `retry_after`, so that the caller
    is not blocked. Every method raises ProviderError.
    """

    name = "replicate"
    capabilities = frozenset({Capability.GET, Capability.LIST, Capability.MODEL})
    reads_addresses = True

    def __init__(
        self,
        token: str,
        base_url: str = "https://api.replicate.com",
        *,
        max_wait: float = 20.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # Checked here because httpx would quote an invalid header in its error.
        if not re.fullmatch(r"[!-~]+", token):
            raise ProviderError(
                "The Replicate API token is empty or contains an invalid character.",
                code="unauthorized",
                permanent=True,
            )
        self._token = token
        self._base = httpx.URL(base_url.rstrip("/"))
        self._max_wait = max_wait
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(30, connect=5),
            transport=transport,
        )
        self._files = OutputFiles([self._base], self._authorization(), transport)

    async def give_file(self, name: str, content: bytes, content_type: str) -> str:
        """Upload a file, which Replicate keeps for an hour, and return its address."""
        files = {"content": (name, content, content_type)}
        url, missing = httpx.URL(f"{self._base}/v1/files"), "unexpected_answer"
        send = partial(
            self._send, "POST", url, about="an input file", not_found=missing, files=files
        )
        return parse_file(await retry(send, retryable=safe_to_resend, max_wait=self._max_wait))

    async def create(
        self,
        model: str,
        input: Mapping[str, Any],
        *,
        version: str | None = None,
        cancel_after: float | None = None,
        wait_out_rate_limits: bool = True,
    ) -> Prediction:
        """Create a prediction of an official model, or of a version of a community model.

        The provider cancels it after `cancel_after` seconds. There is no idempotency key, so the
        request is resent only if nothing can have been created. A caller that delays all requests
        for a rate-limited model sets `wait_out_rate_limits` to False: then any rate limit raises
        immediately.
        """
        path = f"{model_path(model)}/predictions"
        body: dict[str, Any] = {"input": dict(input)}
        if version is not None:
            body["version"], path = version, "/v1/predictions"
        headers = {}
        if cancel_after is not None:
            headers["Cancel-After"] = f"{max(math.ceil(cancel_after), 1)}s"

        async def attempt() -> Prediction:
            return await self._send_prediction_request(
                "POST",
                path,
                about=f"model {model}",
                not_found="model_not_found",
                json=body,
                headers=headers,
            )

        retryable = safe_to_resend if wait_out_rate_limits else not_accepted
        return await retry(attempt, retryable=retryable, max_wait=self._max_wait)

    async def get(self, prediction_id: str) -> Prediction:
        """The current state of a prediction; raises "prediction_not_found" once it is removed."""
        return await retry(
            partial(self._get_once, prediction_id), retryable=transient, max_wait=self._max_wait
        )

    async def list_since(self, created_after: datetime) -> PredictionList:
        """All predictions of the account created at or after a time, at most MAX_PAGES pages."""
        query: httpx.QueryParams | None
        query = since = httpx.QueryParams(created_after=created_after.isoformat())
        found, complete = {}, True
        for _ in range(MAX_PAGES):
            read = partial(self._read_page, query)
            page = await retry(read, retryable=transient, max_wait=self._max_wait)
            found.update({prediction.id: prediction for prediction in page.predictions})
            complete = complete and not page.unreadable
            if page.next_query is None:
                return PredictionList(list(found.values()), complete)
            query = since.merge(page.next_query)
        return PredictionList(list(found.values()), complete=False)

    async def model(self, model: str, *, version: str | None = None) -> PublishedModel:
        """A model, by default in its latest version. Official models only have that one."""
        body = await self._read_model(model_path(model), model)
        published = parse_model(body)
        if version is None or published.official:
            return published
        return parse_model(body, await self._read_model(model_path(model, version), model))

    async def cancel(self, prediction_id: str) -> Prediction:
        """Cancel a prediction and return its state; a finished one is unchanged."""

        async def attempt() -> Prediction:
            return await self._send_prediction_request(
                "POST",
                f"{prediction_path(prediction_id)}/cancel",
                about=f"prediction {prediction_id}",
                not_found="prediction_not_found",
            )

        return await retry(attempt, retryable=transient, max_wait=self._max_wait)

    async def follow(
        self,
        prediction: Prediction,
        *,
        deadline: float,
        since: float | None = None,
        may_cancel: Callable[[], Awaitable[bool]] | None = None,
    ) -> AsyncIterator[Prediction]:
        """Yield every new state until the prediction is finished, with or without success.

        Retries transient errors until the deadline, `deadline` seconds after `since`: a time of the
        event loop's clock, now by default. Then the prediction is cancelled and ProviderError
        "deadline_exceeded" raised, unless it succeeded just then. If `may_cancel` says no, it is
        left alone.
        """
        until = (asyncio.get_running_loop().time() if since is None else since) + deadline
        interval = FIRST_POLL_SECONDS
        poll = partial(self._get_once, prediction.id)
        while not prediction.finished:
            try:
                async with asyncio.timeout_at(until):
                    await asyncio.sleep(interval)
                    state = await retry(poll, retryable=transient, max_wait=math.inf)
            except TimeoutError as error:
                if may_cancel is not None and not await may_cancel():
                    raise ProviderError(
                        f"{prediction.model} took longer than {deadline:g} s.",
                        code="deadline_exceeded",
                    ) from error
                yield await self._cancel_overdue(prediction, deadline)
                return
            interval = min(interval * POLL_GROWTH, MAX_POLL_SECONDS)
            if state != prediction:
                prediction = state
                yield state

    async def download(self, url: str, *, deadline: float = DOWNLOAD_SECONDS) -> bytes:
        """Download an image of a prediction's output, at most 50 MB, within `deadline` seconds."""
        fetch = partial(self._files.fetch, url)
        try:
            async with asyncio.timeout(deadline):
                return await retry(fetch, retryable=transient, max_wait=self._max_wait)
        except TimeoutError as error:
            raise ProviderError(
                f"The image did not arrive within {deadline:.3g} s.", code="image_unreachable"
            ) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._files.aclose()

    async def _get_once(self, prediction_id: str) -> Prediction:
        state = await self._send_prediction_request(
            "GET",
            prediction_path(prediction_id),
            about=f"prediction {prediction_id}",
            not_found="prediction_not_found",
        )
        if state.id != prediction_id:
            raise ProviderError(
                f"Replicate's response for prediction {prediction_id} is about another one.",
                code="unexpected_answer",
            )
        return state

    async def _read_page(self, query: httpx.QueryParams) -> Page:
        body = await self._send(
            "GET",
            # Only the query comes from the answer: the token goes to the API alone.
            httpx.URL(f"{self._base}/v1/predictions", params=query),
            about="the list of predictions",
            not_found="unexpected_answer",
            limit=MAX_PAGE_BYTES,
        )
        return parse_page(body)

    async def _read_model(self, path: str, model: str) -> bytes:
        url, named = httpx.URL(f"{self._base}{path}"), f"model {model}"
        read = partial(self._send, "GET", url, about=named, not_found="model_not_found")
        return await retry(read, retryable=transient, max_wait=self._max_wait)

    async def _cancel_overdue(self, prediction: Prediction, deadline: float) -> Prediction:
        """Cancel an overdue prediction; return its state only if it has succeeded meanwhile."""
        overdue = f"{prediction.model} took longer than {deadline:g} s"
        try:
            state = await self.cancel(prediction.id)
        except ProviderError as error:
            raise ProviderError(
                f"{overdue}, and cancelling it failed: {error}", code="deadline_exceeded"
            ) from error
        if state.status != "succeeded":
            raise ProviderError(f"{overdue} and was cancelled.", code="deadline_exceeded")
        return state

    async def _send_prediction_request(self, method: str, path: str, **options: Any) -> Prediction:
        return parse_prediction(
            await self._send(method, httpx.URL(f"{self._base}{path}"), **options)
        )

    async def _send(
        self,
        method: str,
        url: httpx.URL,
        *,
        about: str,
        not_found: str,
        limit: int = MAX_RESPONSE_BYTES,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> bytes:
        headers = {**self._authorization(), **(headers or {})}
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_SECONDS),
                self._http.stream(method, url, headers=headers, **options) as response,
            ):
                body = await read(response, limit, about)
        except (httpx.RequestError, TimeoutError) as error:
            raise ProviderError(
                f"Replicate at {url.host} does not respond ({type(error).__name__}).",
                code="unreachable",
                no_effect=isinstance(error, NOT_SENT_ERRORS),
            ) from error
        except ProviderError as error:
            # Too large, which says nothing about what was asked for: like any unreadable response.
            raise ProviderError(str(error), code="unexpected_answer") from error
        if not response.is_success:
            raise error_from_response(
                response, body, about=about, not_found=not_found, secret=self._token
            )
        return body

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}
