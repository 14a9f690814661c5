"""An entry of the error guide."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Guide:
    """Guide entry for one kind of error; contains no text from jobs or providers.

    `retry`: a manual retry "helps", helps "after" the cause is fixed, or is "useless". `pattern`:
    what recognizes errors without a code, or with `older_code`; with `narrows`, all errors.
    """

    code: str
    title: str
    meaning: str
    todo: str
    retry: Literal["helps", "after", "useless"]
    pattern: str = ""
    narrows: bool = False
    older_code: str = ""
