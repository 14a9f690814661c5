"""Parse a prediction from a Replicate API response."""

import json
import re
from typing import Any

from lib.provider.contract import Prediction, ProviderError

MAX_TEXT, MAX_NAME = 16_000, 200
"""Most characters that are kept of an error and of logs, and that a name or status may have."""

_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?%")


def parse_prediction(body: bytes) -> Prediction:
    """The prediction in a response body. Raises ProviderError if it is malformed."""
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise _unexpected("is not JSON") from error
    if not isinstance(answer, dict):
        raise _unexpected("is not a JSON object")
    logs = _logs(answer.get("logs"))
    return Prediction(
        id=_text(answer, "id"),
        model=_text(answer, "model"),
        status=_text(answer, "status"),
        output=_output(answer.get("output")),
        error=_error(answer.get("error")),
        logs=logs,
        progress=_progress(logs),
    )


def _text(answer: dict[str, Any], field: str) -> str:
    value = answer.get(field)
    if not isinstance(value, str) or not value:
        raise _unexpected(f"has no {field}")
    if len(value) > MAX_NAME:
        raise _unexpected(f"has a {field} of {len(value):,} characters")
    return value


def _output(value: Any) -> list[str]:
    urls = [value] if isinstance(value, str) else value or []
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise _unexpected("has an output that is not a URL or a list of URLs")
    return urls


def _error(value: Any) -> str | None:
    if value is None:
        return None
    # Some models return an object as error.
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} … ({len(text):,} characters)"


def _logs(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise _unexpected("has logs that are not text")
    # The end, which has the progress.
    return (value or "")[-MAX_TEXT:]


def _progress(logs: str) -> int | None:
    percents = _PERCENT.findall(logs)
    return min(int(percents[-1]), 100) if percents else None


def _unexpected(what: str) -> ProviderError:
    return ProviderError(f"Replicate's answer {what}.", code="unexpected_answer")
