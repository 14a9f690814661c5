"""Parse predictions from Replicate API responses."""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from lib.provider.contract import ListedPrediction, Prediction, ProviderError
from lib.provider.replicate.answers import json_object, unexpected
from lib.provider.replicate.failures import failure_of

MAX_TEXT, MAX_NAME = 16_000, 200
"""Most characters that are kept of an error and of logs, and that a name or status may have."""
MAX_FILES = 100
"""Most files that are kept of an output; the most that a model promises is 15."""

PREDICTION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

_URL = re.compile(r"https?://|data:", re.IGNORECASE)
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?%")


def parse_prediction(body: bytes) -> Prediction:
    """The prediction in a response body. Raises ProviderError if it is malformed."""
    answer = json_object(body)
    model, status = _text(answer, "model"), _text(answer, "status")
    output, error, logs = (
        answer.get("output"),
        _error(answer.get("error")),
        _logs(answer.get("logs")),
    )
    return Prediction(
        id=_id(answer),
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


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list of predictions."""

    predictions: list[ListedPrediction]
    unreadable: int
    """How many entries were skipped because they are malformed."""
    next_query: httpx.QueryParams | None
    """The query of the next page; None on the last one."""


def parse_page(body: bytes) -> Page:
    """The page of predictions in a response body. Raises ProviderError if it is malformed."""
    answer = json_object(body)
    entries, following = answer.get("results"), answer.get("next")
    if not isinstance(entries, list):
        raise unexpected("has no list of results")
    predictions = []
    for entry in entries:
        try:
            predictions.append(_listed(entry))
        except ProviderError:
            continue
    return Page(predictions, len(entries) - len(predictions), _query(following))


def _listed(entry: Any) -> ListedPrediction:
    if not isinstance(entry, dict):
        raise unexpected("has an entry that is not a JSON object")
    version, given = entry.get("version"), entry.get("input")
    if given is not None and not isinstance(given, dict):
        raise unexpected("has an input that is not a JSON object")
    return ListedPrediction(
        id=_id(entry),
        model=_text(entry, "model"),
        version=version if isinstance(version, str) else None,
        input=None if entry.get("data_removed") else given,
        status=_text(entry, "status"),
        created_at=_time(_text(entry, "created_at")),
    )


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise unexpected("has a time that is not ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _time_or_none(value: Any) -> datetime | None:
    try:
        return _time(value)
    except (ProviderError, TypeError):
        return None


def _query(url: Any) -> httpx.QueryParams | None:
    if url is None:
        return None
    try:
        return httpx.URL(url).params
    except (httpx.InvalidURL, TypeError) as error:
        raise unexpected("names a next page that is not a URL") from error


def _id(answer: dict[str, Any]) -> str:
    text = _text(answer, "id")
    # It becomes a part of paths, and nothing else could be read or cancelled.
    if not PREDICTION_ID.fullmatch(text):
        raise unexpected("has an id that is not a prediction id")
    return text


def _text(answer: dict[str, Any], field: str) -> str:
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
