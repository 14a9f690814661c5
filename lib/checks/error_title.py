"""The error of a job in a few words, for tables."""

from collections.abc import Mapping
from typing import Any

from lib.checks.error_guide import UNKNOWN, guide


def short_error(job: Mapping[str, Any]) -> str | None:
    """The title of a job's error, or its message if that is unknown; None without an error.

    `job` has an error_code and an error_message.
    """
    if not job["error_message"]:
        return None
    entry = guide(job["error_code"], job["error_message"])
    return str(job["error_message"]) if entry is UNKNOWN else entry.title
