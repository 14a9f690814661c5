"""Tell why a prediction ended without an image, by the codes and words of models and vendors."""

import re
from typing import Any

from lib.provider.contract import Failure

# Each vendor says it in its own words; E005 is Replicate's code for it.
_REFUSED = re.compile(
    r"\bE005\b|NSFW content|flagged as sensitive|sensitive content|prohibited content"
    r"|safety (filter|system|checker)|(content|safety|usage) polic(y|ies)|moderation",
    re.IGNORECASE,
)
# An outage of a vendor's moderation passes, whatever its words.
_PASSING = re.compile(r"\b(E003|E004|E6716|E9828)\b|\(code: PA\)")
_VENDOR_ACCOUNT = {"E001": "reports that the account has no credit", "E002": "rejects the API key"}


def failure_of(model: str, status: str, output: Any, error: str | None) -> Failure | None:
    """The refusal of a prediction, or the vendor's of the account; None for any other end.

    Other errors, such as E003, E004, E6716, E9828 and PA, may pass, so another attempt may help.
    """
    if error and _REFUSED.search(error) and not _PASSING.search(error):
        return _refused(model, "The safety filter of {} rejected the prompt or the image.")
    if status == "succeeded" and output == []:
        # Such models leave flagged images out of their list.
        return _refused(model, "The safety filter of {} withheld every image.")
    if code := re.search(r"\bE00[12]\b", error or ""):
        return Failure(
            f"The vendor of {model} {_VENDOR_ACCOUNT[code[0]]} ({code[0]}). Disable the model"
            " until its page on Replicate shows that it works again.",
            code="vendor_account",
            permanent=True,
        )
    return None


def _refused(model: str, message: str) -> Failure:
    return Failure(
        f"{message.format(model)} Change the prompt and try again.", code="refused", permanent=True
    )
