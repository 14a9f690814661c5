"""Turn the error responses of a Cog server, and its health, into ProviderError."""

from typing import Any

import httpx

from lib.provider.answers import json_object
from lib.provider.contract import ProviderError

DETAIL_LENGTH = 500
BUSY_SECONDS, STARTING_SECONDS = 5.0, 5.0
"""When to try again while the server runs all it can, unless a job of ours ends, or starts."""

# Status: code, permanent, message.
_REFUSALS = {
    401: ("unauthorized", True, "A proxy in front of the Cog server for {} requires sign-in"),
    403: ("unauthorized", True, "A proxy in front of the Cog server for {} rejected the request"),
    404: ("provider_error", False, "The server of {} is not a Cog server"),
    405: ("provider_error", False, "The server of {} is not a Cog server"),
    413: ("invalid_input", True, "The Cog server for {} rejected the input as too large"),
    422: ("invalid_input", True, "The Cog server for {} rejected the input"),
}


def error_from_response(
    response: httpx.Response, body: bytes, model: str, *, late: bool = False
) -> ProviderError:
    """The error for an unsuccessful response of the server of `model`.

    `late`: it came so long after the request that a run may have begun.
    """
    status, words = response.status_code, _sentence(body)
    detail = words or response.reason_phrase
    if status == 409:
        return busy(f"The Cog server for {model} is busy", BUSY_SECONDS, status=status)
    code, permanent, start = _REFUSALS.get(
        status, ("provider_error", False, f"The Cog server for {{}} returned HTTP {status}")
    )
    return ProviderError(
        f"{start.format(model)}: {detail}.",
        code=code,
        permanent=permanent,
        status=status,
        # A 503 without words is a proxy's, whose server may have died in the middle of a run.
        no_effect=(400 <= status < 500 and status != 408)
        or (status == 503 and (bool(words) or not late)),
    )


def error_from_health(body: bytes, model: str) -> ProviderError | None:
    """The error for a server that runs no predictions, by its health check; None for another."""
    health = json_object(body)
    match health.get("status"):
        case "STARTING":
            return busy(f"The Cog server for {model} is starting", STARTING_SECONDS, status=503)
        case "SETUP_FAILED":
            why = "could not set up its model: see its log"
        case "DEFUNCT":
            why = "has stopped working: restart it"
        case "UNHEALTHY":
            why = "is unhealthy: see its log"
        case _:
            return None
    return ProviderError(
        f"The Cog server for {model} {why}.",
        code="provider_error",
        status=503,
        no_effect=True,
    )


def busy(what: str, seconds: float, *, status: int | None = None) -> ProviderError:
    """The error of a server that takes no prediction now, which costs the job no attempt."""
    return ProviderError(
        f"{what}.", code="provider_busy", retry_after=seconds, status=status, no_effect=True
    )


def _sentence(body: bytes) -> str:
    """What the server says of the error: its text, or the faults of the input."""
    try:
        problem = json_object(body)
    except ProviderError:
        return ""
    detail = problem.get("detail") or problem.get("error")
    faults = detail if isinstance(detail, list) else [detail]
    return " ".join("; ".join(map(_fault, faults)).split())[:DETAIL_LENGTH].rstrip(".")


def _fault(fault: Any) -> str:
    if not isinstance(fault, dict):
        return fault if isinstance(fault, str) else ""
    place = fault.get("loc")
    field = f"{place[-1]}: " if isinstance(place, list) and place else ""
    return f"{field}{fault.get('msg', '')}"
