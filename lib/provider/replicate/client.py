"""Client of Replicate's HTTP API: create, follow and cancel predictions, fetch their images."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import httpx

from lib.provider.contract import Capability, Prediction, ProviderError
from lib.provider.replicate.errors import refused
from lib.provider.replicate.prediction import parse_prediction
from lib.provider.replicate.retry import not_taken, persist, surely_not_done, transient

REQUEST_SECONDS = 60
"""Longest time for one request and its whole answer."""
ANSWER_BYTES = 10_000_000
IMAGE_BYTES = 50_000_000
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS, POLL_GROWTH = 0.25, 2.0, 1.25

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PREDICTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Replicate:
    """A connection to Replicate, or to whatever speaks its API at `base_url`.

    Transient errors are retried within each call, waiting at most `max_wait` seconds in all.
    When the provider asks for longer, the call raises at once with `retry_after`, so that the
    caller can do something else meanwhile. Every method raises ProviderError.
    """

    capabilities = frozenset({Capability.GET})

    def __init__(
        self,
        token: str,
        base_url: str = "https://api.replicate.com",
        *,
        max_wait: float = 20.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # Checked here because an HTTP library would show a bad header in its error.
        if not re.fullmatch(r"[!-~]+", token):
            raise ProviderError(
                "The Replicate API token is empty or has a character that no token has.",
                code="unauthorized",
                permanent=True,
            )
        self._token = token
        self._base = httpx.URL(base_url.rstrip("/"))
        self._max_wait = max_wait
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(30, connect=5),
            transport=transport,
            # A proxy of the environment cannot reach this machine's simulator.
            mounts={"all://127.0.0.1": None},
        )

    async def create(
        self,
        model: str,
        input: Mapping[str, Any],
        *,
        version: str | None = None,
        cancel_after: float | None = None,
        wait_out_limits: bool = True,
    ) -> Prediction:
        """Starts a prediction of an official model, or of a version of a community model.

        The provider cancels it after `cancel_after` seconds. There is no idempotency key, so it
        is sent again only after answers that say that nothing was started. A caller that can
        hold back all requests for the model sets `wait_out_limits` to False: then a rate limit
        raises at once, however short.
        """
        if not _MODEL.fullmatch(model):
            raise ProviderError(
                f"Replicate has no model {model[:200]}: its models are named owner/name.",
                code="model_not_found",
                permanent=True,
            )
        body: dict[str, Any] = {"input": dict(input)}
        path = f"/v1/models/{model}/predictions"
        if version is not None:
            body["version"], path = version, "/v1/predictions"
        headers = {}
        if cancel_after is not None:
            headers["Cancel-After"] = f"{max(math.ceil(cancel_after), 1)}s"

        async def attempt() -> Prediction:
            return await self._prediction(
                "POST",
                path,
                about=f"model {model}",
                not_found="model_not_found",
                json=body,
                headers=headers,
            )

        worth_it = surely_not_done if wait_out_limits else not_taken
        return await persist(attempt, worth_it=worth_it, max_wait=self._max_wait)

    async def get(self, prediction_id: str) -> Prediction:
        """The state of a prediction; code "prediction_not_found" once it is removed."""
        return await persist(
            partial(self._get, prediction_id), worth_it=transient, max_wait=self._max_wait
        )

    async def cancel(self, prediction_id: str) -> Prediction:
        """Cancels a prediction; a finished one stays as it is. Returns its state."""

        async def attempt() -> Prediction:
            return await self._prediction(
                "POST",
                f"{_prediction_path(prediction_id)}/cancel",
                about=f"prediction {prediction_id}",
                not_found="prediction_not_found",
            )

        return await persist(attempt, worth_it=transient, max_wait=self._max_wait)

    async def follow(self, prediction: Prediction, *, deadline: float) -> AsyncIterator[Prediction]:
        """Yields every new state until the prediction is finished, however it ends.

        Waits through transient errors. After `deadline` seconds the prediction is cancelled and
        ProviderError raised, code "deadline_exceeded", unless it has succeeded in that moment.
        """
        until = asyncio.get_running_loop().time() + deadline
        interval = FIRST_POLL_SECONDS
        poll = partial(self._get, prediction.id)
        while not prediction.finished:
            try:
                async with asyncio.timeout_at(until):
                    await asyncio.sleep(interval)
                    state = await persist(poll, worth_it=transient, max_wait=math.inf)
            except TimeoutError:
                yield await self._end(prediction, deadline)
                return
            interval = min(interval * POLL_GROWTH, LONGEST_POLL_SECONDS)
            if state != prediction:
                prediction = state
                yield state

    async def download(self, url: str) -> bytes:
        """An image of a prediction's output, of at most 50 MB."""
        target = _web_url(url)
        headers = self._authorization() if _origin(target) == _origin(self._base) else {}

        async def attempt() -> bytes:
            response, body = await self._send(
                "GET",
                target,
                about="image of the prediction",
                not_found="image_not_found",
                limit=IMAGE_BYTES,
                headers=headers,
                # httpx keeps the token from other origins.
                follow_redirects=True,
            )
            kind = response.headers.get("content-type", "no type")
            if not kind.startswith("image/"):
                raise ProviderError(
                    f"The prediction's output is not an image but {kind}.", code="not_an_image"
                )
            return body

        return await persist(attempt, worth_it=transient, max_wait=self._max_wait)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _get(self, prediction_id: str) -> Prediction:
        return await self._prediction(
            "GET",
            _prediction_path(prediction_id),
            about=f"prediction {prediction_id}",
            not_found="prediction_not_found",
        )

    async def _end(self, prediction: Prediction, deadline: float) -> Prediction:
        """Cancels an overdue prediction; returns its state only if it succeeded just now."""
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

    async def _prediction(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Prediction:
        _, body = await self._send(
            method,
            httpx.URL(f"{self._base}{path}"),
            limit=ANSWER_BYTES,
            headers={**self._authorization(), **(headers or {})},
            **options,
        )
        return parse_prediction(body)

    async def _send(
        self, method: str, url: httpx.URL, *, about: str, not_found: str, limit: int, **options: Any
    ) -> tuple[httpx.Response, bytes]:
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                self._http.stream(method, url, **options) as response,
            ):
                body = await _read(response, limit, about)
        except (httpx.RequestError, TimeoutError) as error:
            raise ProviderError(
                f"Replicate at {url.host} does not answer ({type(error).__name__}).",
                code="unreachable",
            ) from error
        if not response.is_success:
            raise refused(response, body, about=about, not_found=not_found, secret=self._token)
        return response, body

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


async def _read(response: httpx.Response, limit: int, about: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            raise ProviderError(
                f"The answer for {about} is larger than {limit // 1_000_000} MB.",
                code="too_large",
                permanent=True,
            )
    return bytes(body)


def _prediction_path(prediction_id: str) -> str:
    if not _PREDICTION.fullmatch(prediction_id):
        raise ProviderError(
            f"Replicate has no prediction {prediction_id}.", code="prediction_not_found"
        )
    return f"/v1/predictions/{prediction_id}"


def _web_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ProviderError("The prediction's output is no URL.", code="not_an_image") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ProviderError("The prediction's output is no web address.", code="not_an_image")
    return parsed


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
