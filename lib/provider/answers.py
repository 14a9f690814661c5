"""Read JSON objects of a provider's answers, which may hold anything."""

import json
from typing import Any

from lib.provider.contract import ProviderError


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a response body. Raises ProviderError if it has none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unexpected("is not JSON") from error
    if not isinstance(answer, dict):
        raise unexpected("is not a JSON object")
    return answer


def unexpected(what: str) -> ProviderError:
    """The error for an answer that `what` describes, such as "is not JSON"."""
    return ProviderError(f"The provider's response {what}.", code="unexpected_answer")
