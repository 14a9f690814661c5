"""Start a generation through the function start-generation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from .http import UnusableProxy, open_client

TIMEOUT_SECONDS = 10.0


class StartRefused(Exception):
    """The generation was not started; the message says why.

    `code` names the reason and `field` the invalid field, if any; `retry_after` is the time in
    seconds after which the same request may succeed.
    """

    def __init__(
        self, message: str, *, code: str, field: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Started:
    """A queued generation and its job.

    `notices` says in sentences what was ignored or changed of the request. `size` has what was
    asked, what is sent to the model, and the expected width and height; None if unknown.
    `application` and `metadata` are those of the request.
    """

    generation_id: UUID
    job_id: UUID
    notices: tuple[str, ...] = ()
    size: Mapping[str, Any] | None = None
    application: str | None = None
    metadata: Mapping[str, Any] | None = None


def start_image_generation(
    url: str,
    key: str,
    *,
    prompt: str | None,
    model_id: str,
    idempotency_key: str,
    functions_url: str | None = None,
    access_token: str | None = None,
    test: bool = False,
    application: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Started:
    """Queue a generation through the function start-generation.

    `url` is the Supabase project or the Darkroom app, `key` any of its API keys, `functions_url`
    the address of Darkroom's functions, unless it is `url`, and `access_token` that of the
    signed-in user. Repeating a call with the same idempotency key
    returns the first result instead of starting a second generation. `parameters` are the model's
    own inputs, or names that mean the same for every model: width, height, aspect_ratio, seed,
    image, num_outputs and so on; None is omitted. `prompt` is None for a model that takes none.
    `test` marks an operator's test, which needs the secret key and is exempt from limits.
    `application` (100 characters) names the caller, and `metadata` (JSON, 2 kB) is what it wants
    back with the generation, such as ids of its own. Raises StartRefused.
    """
    labels = {"test": test or None, "application": application, "metadata": metadata}
    body = {"prompt": prompt, "model_id": model_id, **labels, **parameters}
    url = functions_url or url
    with _translate_errors(url), open_client(httpx.Client, timeout=TIMEOUT_SECONDS) as http:
        response = http.send(_request(url, key, access_token, idempotency_key, body))
    return _parse_response(url, response)


async def start_image_generation_async(
    url: str,
    key: str,
    *,
    prompt: str | None,
    model_id: str,
    idempotency_key: str,
    functions_url: str | None = None,
    access_token: str | None = None,
    test: bool = False,
    application: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Started:
    """Async version of `start_image_generation`."""
    labels = {"test": test or None, "application": application, "metadata": metadata}
    body = {"prompt": prompt, "model_id": model_id, **labels, **parameters}
    url = functions_url or url
    with _translate_errors(url):
        async with open_client(httpx.AsyncClient, timeout=TIMEOUT_SECONDS) as http:
            response = await http.send(_request(url, key, access_token, idempotency_key, body))
    return _parse_response(url, response)


def _request(
    url: str, key: str, access_token: str | None, idempotency_key: str, body: dict[str, Any]
) -> httpx.Request:
    headers = {"apikey": key, "Idempotency-Key": idempotency_key}
    if access_token:
        headers["Authorization"] = f"Bearer {access_token}"
    fields = {name: value for name, value in body.items() if value is not None}
    address = f"{url.rstrip('/')}/functions/v1/start-generation"
    return httpx.Request("POST", address, json=fields, headers=headers)


@contextmanager
def _translate_errors(url: str) -> Iterator[None]:
    try:
        yield
    except UnusableProxy as error:
        raise StartRefused(str(error), code="unusable_proxy") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StartRefused(
            f"start-generation at {url} does not respond ({type(error).__name__}).",
            code="unreachable",
        ) from error


def _parse_response(url: str, response: httpx.Response) -> Started:
    try:
        answer = response.json()
        if response.is_success:
            return Started(
                UUID(answer["generation_id"]),
                UUID(answer["job_id"]),
                tuple(answer.get("notices") or ()),
                answer.get("size"),
                answer.get("application"),
                answer.get("metadata"),
            )
        refusal = answer["error"]
        message, code = str(refusal["message"]), str(refusal["code"])
    except (ValueError, KeyError, TypeError) as error:
        # From a gateway in between, or from functions that are not ours.
        raise StartRefused(
            f"start-generation at {url} returned HTTP {response.status_code} with a response"
            " that is not Darkroom's. If Darkroom has a different address than the project, pass"
            " functions_url.",
            code="unexpected_answer",
        ) from error
    retry_after = response.headers.get("Retry-After", "")
    raise StartRefused(
        message,
        code=code,
        field=refusal.get("field"),
        retry_after=int(retry_after) if retry_after.isdecimal() else None,
    )
