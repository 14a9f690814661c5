"""What a request to create a prediction asks for, checked."""

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from lib.provider.simulator.answers import Problem

SMALLEST_SIDE, LARGEST_SIDE = 64, 2048
LONGEST_HOLD_SECONDS = 60
LONGEST_RUN_SECONDS = 1800
"""After which Replicate cancels any prediction."""


async def read_body(request: Request) -> Mapping[str, Any]:
    """The request's JSON object. Raises Problem."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise Problem(400, "Bad request", "The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise Problem(400, "Bad request", "The request body is not a JSON object.")
    return body


def checked_input(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model's input. Raises Problem naming the first field that is wrong."""
    asked = body.get("input")
    if not isinstance(asked, dict):
        raise _invalid("input", "input is required")
    prompt = asked.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise _invalid("input.prompt", "prompt is required")
    for side in ("width", "height"):
        length = asked.get(side, SMALLEST_SIDE)
        if type(length) is not int:
            raise _invalid(f"input.{side}", "Invalid type. Expected: integer")
        if not SMALLEST_SIDE <= length <= LARGEST_SIDE:
            raise _invalid(f"input.{side}", f"Must be from {SMALLEST_SIDE} to {LARGEST_SIDE}")
    if type(asked.get("seed", 0)) is not int:
        raise _invalid("input.seed", "Invalid type. Expected: integer")
    return asked


def hold_seconds(request: Request) -> float | None:
    """How long `Prefer: wait` holds the answer back; None without it."""
    wait = re.search(r"\bwait\b(?:=(\d+))?", request.headers.get("prefer", ""))
    if wait is None:
        return None
    return min(max(int(wait[1] or LONGEST_HOLD_SECONDS), 1), LONGEST_HOLD_SECONDS)


def deadline_seconds(request: Request) -> float:
    """After how long `Cancel-After` (such as 90s or 1m30s) ends the prediction. Raises Problem."""
    header = request.headers.get("cancel-after")
    if header is None:
        return LONGEST_RUN_SECONDS
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", header)
    hours, minutes, seconds = (int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not total:
        raise _invalid("Cancel-After", "Invalid duration. Expected: for example 90s or 1m30s")
    return min(total, LONGEST_RUN_SECONDS)


def _invalid(field: str, description: str) -> Problem:
    return Problem(
        422,
        "Input validation failed",
        f"- {field}: {description}\n",
        invalid_fields=[{"field": field, "description": description}],
    )
