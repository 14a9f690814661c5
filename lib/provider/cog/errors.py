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
    401: ("unauthorized", True, "A proxy in front of the Cog server at {} requires sign-in"),
    403: ("unauthorized", True, "A proxy in front of the Cog server at {} rejected the request"),
    404: ("provider_error", False, "The server at {} is not a Cog server"),
    405: ("provider_error", False, "The server at {} is not a Cog server"),
    413: ("invalid_input", True, "The Cog server at {} rejected the input as too large"),
    422: ("invalid_input", True, "The Cog server at {} rejected the input"),
}


def error_from_response(response: httpx.Response, body: bytes, place: str) -> ProviderError:
    """The error for an unsuccessful response of the server at `place`."""
    status = response.status_code
    detail = _sentence(body) or response.reason_phrase
    if status == 409:
        return busy(f"The Cog server at {place} is busy", BUSY_SECONDS, status=status)
    code, permanent, start = _REFUSALS.get(
        status, ("provider_error", False, f"The Cog server at {{}} returned HTTP {status}")
    )
    return ProviderError(
        f"{start.format(place)}: {detail}.",
        code=code,
        permanent=permanent,
        status=status,
        no_effect=(400 <= status < 500 and status != 408) or status == 503,
    )


def error_from_health(body: bytes, place: str) -> ProviderError | None:
    """The error for a server that runs no predictions, by its health check; None for another."""
    health = json_object(body)
    setup = health.get("setup")
    logs = setup.get("logs") if isinstance(setup, dict) else None
    match health.get("status"):
        case "STARTING":
            return busy(f"The Cog server at {place} is starting", STARTING_SECONDS, status=503)
        case "SETUP_FAILED":
            why = f"could not set up its model: {_last_line(logs) or 'see its log'}"
        case "DEFUNCT":
            why = "has stopped working: restart it"
        case "UNHEALTHY":
            why = f"is unhealthy: {_last_line(health.get('user_healthcheck_error'))}"
        case _:
            return None
    return ProviderError(
        f"The Cog server at {place} {why.rstrip('.')}.",
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


def _last_line(logs: Any) -> str:
    lines = logs.strip().splitlines() if isinstance(logs, str) else []
    return lines[-1].strip()[:DETAIL_LENGTH] if lines else ""
