"""Paths of predictions in the API, and addresses of uploaded files in its answers."""

import re

from lib.provider.answers import json_object, unexpected
from lib.provider.contract import ProviderError
from lib.provider.prediction import PREDICTION_ID


def prediction_path(prediction_id: str) -> str:
    """The path of a prediction. Raises ProviderError if it has none."""
    if not PREDICTION_ID.fullmatch(prediction_id):
        raise ProviderError(
            f"Replicate has no prediction {prediction_id}.", code="prediction_not_found"
        )
    return f"/v1/predictions/{prediction_id}"


def parse_file(body: bytes) -> str:
    """The address of an uploaded file in a response body. Raises ProviderError."""
    urls = json_object(body).get("urls")
    address = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(address, str) or not re.fullmatch(r"https?://[!-~]{1,2000}", address):
        raise unexpected("contains no file address")
    return address
