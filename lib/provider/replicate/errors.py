"""Turn Replicate's error responses into ProviderError."""

import json
from typing import Any

import httpx

from lib.provider.contract import ProviderError
from lib.provider.retry import retry_after

DETAIL_LENGTH = 500

# Status: code, permanent, message. `about` replaces {}.
_REFUSALS = {
    400: ("invalid_input", True, "Replicate could not read the request for {}"),
    401: ("unauthorized", True, "Replicate rejected the API token"),
    402: (
        "no_credit",
        True,
        "The Replicate account has no credit to run {} (add credit at"
        " replicate.com/account/billing)",
    ),
    403: ("unauthorized", True, "Replicate does not allow this API token to use {}"),
    413: ("invalid_input", True, "Replicate rejected the input for {} as too large"),
    422: ("invalid_input", True, "Replicate rejected the input for {}"),
    429: ("rate_limited", False, "Replicate rate-limited the request for {}"),
}


def error_from_response(
    response: httpx.Response, body: bytes, *, about: str, not_found: str, secret: str
) -> ProviderError:
    """The error for an unsuccessful response.

    `about` names what was requested, `not_found` is the code for a 404; `secret` is redacted from
    the provider's message.
    """
    status = response.status_code
    problem = _problem(body)
    detail = _sentence(problem).replace(secret, "[token]") or response.reason_phrase
    if status == 404:
        code, permanent = not_found, not_found == "model_not_found"
        start = "Replicate has no {}"
    elif status in _REFUSALS:
        code, permanent, start = _REFUSALS[status]
    elif status >= 500 or status == 408:
        code, permanent = "provider_error", False
        start = f"Replicate returned HTTP {status} for {{}}"
    else:
        code, permanent = "unexpected_answer", False
        start = f"Replicate returned HTTP {status} for {{}}"
    return ProviderError(
        f"{start.replace('{}', about)}: {detail}",
        code=code,
        permanent=permanent,
        retry_after=retry_after(response.headers, detail),
        status=status,
        # Refused before anything was done, or by a server that says it is unavailable.
        no_effect=(400 <= status < 500 and status != 408) or status == 503,
    )


def _problem(body: bytes) -> dict[str, Any]:
    # RFC 7807, unless the response came from a proxy.
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _sentence(problem: dict[str, Any]) -> str:
    said = problem.get("detail") or problem.get("title") or ""
    text = said if isinstance(said, str) else json.dumps(said)
    return " ".join(text.split())[:DETAIL_LENGTH]
