"""Parse and validate requests to create a prediction."""

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from lib.provider.simulator.responses import Problem, invalid_input

MAX_WAIT_SECONDS = 60
MAX_RUN_SECONDS = 1800
"""Replicate cancels any prediction after this time."""
BODY_FIELDS = {"input", "webhook", "webhook_events_filter", "stream"}


async def read_body(request: Request) -> Mapping[str, Any]:
    """Parse the request body as a JSON object. Raises Problem."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise Problem(400, "Bad request", "The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise Problem(400, "Bad request", "The request body is not a JSON object.")
    return body


def check_fields(body: Mapping[str, Any], *others: str) -> None:
    """Raise Problem for fields beside the input that the API does not have."""
    unknown = sorted(body.keys() - BODY_FIELDS - set(others))
    if unknown:
        raise invalid_input(
            [
                (
                    "additional_property_not_allowed",
                    "",
                    f"Additional property {name} is not allowed",
                )
                for name in unknown
            ]
        )


def wait_seconds(request: Request) -> float | None:
    """How long `Prefer: wait` delays the response; None without it."""
    wait = re.search(r"\bwait\b(?:=(\d+))?", request.headers.get("prefer", ""))
    if wait is None:
        return None
    return min(max(int(wait[1] or MAX_WAIT_SECONDS), 1), MAX_WAIT_SECONDS)


def deadline_seconds(request: Request) -> float:
    """The deadline set by `Cancel-After` (such as 90s, 1m30s or 90). Raises Problem."""
    header = request.headers.get("cancel-after")
    if header is None:
        return MAX_RUN_SECONDS
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", header)
    hours, minutes, seconds = (int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not total:
        raise _invalid("Cancel-After", "Invalid duration. Expected: for example 90s or 1m30s")
    return min(total, MAX_RUN_SECONDS)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Which predictions are listed: of which time, and where the list goes on."""

    after: float
    before: float
    below: tuple[float, str] | None


def list_request(request: Request) -> ListRequest:
    """The page of predictions that a query asks for. Raises Problem."""
    query = request.query_params
    return ListRequest(
        after=_timestamp("created_after", query.get("created_after"), -math.inf),
        before=_timestamp("created_before", query.get("created_before"), math.inf),
        below=_position(query["cursor"]) if "cursor" in query else None,
    )


def cursor(created_at: float, prediction_id: str) -> str:
    """The cursor of the page after a prediction."""
    return base64.urlsafe_b64encode(f"{created_at!r} {prediction_id}".encode()).decode()


def _position(text: str) -> tuple[float, str]:
    try:
        created_at, _, prediction_id = base64.urlsafe_b64decode(text).decode().partition(" ")
        return float(created_at), prediction_id
    except ValueError as error:
        raise Problem(404, "Not found", "Invalid cursor") from error


def _timestamp(field: str, text: str | None, otherwise: float) -> float:
    if text is None:
        return otherwise
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(field, "Invalid date-time. Expected: ISO 8601") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _invalid(field: str, description: str) -> Problem:
    return invalid_input([("invalid", field, description)])
