"""Parse predictions from a provider's responses."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from lib.provider.answers import json_object, unexpected
from lib.provider.contract import Prediction, ProviderError
from lib.provider.failures import failure_of

MAX_TEXT, MAX_NAME = 16_000, 200
"""Most characters that are kept of an error and of logs, and that a name or status may have."""
MAX_FILES = 100
"""Most files that are kept of an output; the most that a model promises is 15."""

PREDICTION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

_URL = re.compile(r"https?://|data:", re.IGNORECASE)
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?%")


def parse_prediction(body: bytes, model: str | None = None) -> Prediction:
    """The prediction in a response body. Raises ProviderError if it is malformed.

    `model` is for an answer that does not name it.
    """
    answer = json_object(body)
    model, status = model or text_of(answer, "model"), text_of(answer, "status")
    output, error, logs = (
        answer.get("output"),
        _error(answer.get("error")),
        _logs(answer.get("logs")),
    )
    return Prediction(
        id=id_of(answer),
        model=model,
        status=status,
        output=_urls(output),
        error=error,
        logs=logs,
        progress=_progress(logs),
        predict_seconds=_predict_seconds(answer.get("metrics")),
        created_at=_time_or_none(answer.get("created_at")),
        failure=failure_of(model, status, output, error),
    )


def time_of(text: str) -> datetime:
    """A time in ISO 8601, UTC unless it says otherwise. Raises ProviderError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise unexpected("has a time that is not ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _time_or_none(value: Any) -> datetime | None:
    try:
        return time_of(value)
    except (ProviderError, TypeError):
        return None


def id_of(answer: dict[str, Any]) -> str:
    """The ID of a prediction. Raises ProviderError if it is none."""
    text = text_of(answer, "id")
    # It becomes a part of paths, and nothing else could be read or cancelled.
    if not PREDICTION_ID.fullmatch(text):
        raise unexpected("has an id that is not a prediction id")
    return text


def text_of(answer: dict[str, Any], field: str) -> str:
    """A short text in an answer. Raises ProviderError without one."""
    value = answer.get(field)
    if not isinstance(value, str) or not value:
        raise unexpected(f"has no {field}")
    if len(value) > MAX_NAME:
        raise unexpected(f"has a {field} of {len(value):,} characters")
    return value


def _urls(output: Any) -> list[str]:
    """The URLs in an output, each once, in order: models nest them in lists and objects."""
    urls, rest = [], [output]
    while rest:
        value = rest.pop()
        if isinstance(value, str) and _URL.match(value):
            urls.append(value)
        elif isinstance(value, list):
            rest.extend(reversed(value))
        elif isinstance(value, dict):
            rest.extend(reversed(value.values()))
    return list(dict.fromkeys(urls))[:MAX_FILES]


def _error(value: Any) -> str | None:
    if value is None:
        return None
    # Some models return an object as error.
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} … ({len(text):,} characters)"


def _logs(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise unexpected("has logs that are not text")
    # The end, which has the progress.
    return (value or "")[-MAX_TEXT:]


def _predict_seconds(metrics: Any) -> float | None:
    seconds = metrics.get("predict_time") if isinstance(metrics, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and math.isfinite(seconds) else None


def _progress(logs: str) -> int | None:
    percents = _PERCENT.findall(logs)
    return min(int(percents[-1]), 100) if percents else None
