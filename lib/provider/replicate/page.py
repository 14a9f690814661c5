"""Parse pages of Replicate's list of predictions."""

from dataclasses import dataclass
from typing import Any

import httpx

from lib.provider.answers import json_object, unexpected
from lib.provider.contract import ListedPrediction, ProviderError
from lib.provider.prediction import id_of, text_of, time_of


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
        id=id_of(entry),
        model=text_of(entry, "model"),
        version=version if isinstance(version, str) else None,
        input=None if entry.get("data_removed") else given,
        status=text_of(entry, "status"),
        created_at=time_of(text_of(entry, "created_at")),
    )


def _query(url: Any) -> httpx.QueryParams | None:
    if url is None:
        return None
    try:
        return httpx.URL(url).params
    except (httpx.InvalidURL, TypeError) as error:
        raise unexpected("names a next page that is not a URL") from error
