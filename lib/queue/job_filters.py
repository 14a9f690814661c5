"""Which jobs an operator wants to see, and which walks of the list lead past them."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

LIVE, ENDED = ("pending", "processing"), ("completed", "failed", "cancelled")
STATUSES = (*LIVE, *ENDED)
GENERATION_TYPE = "generate-image"
"""The type of the jobs that have a generation, by which those of a user are found."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which jobs; None and empty let everything through."""

    statuses: tuple[str, ...] = ()
    job_type: str | None = None
    model_id: str | None = None
    user_id: UUID | None = None
    error: str | None = None
    """Part of the error's text, in any case of letters; * stands for anything."""
    path: str | None = None
    """A field of the payload, such as prompt or input.seed."""
    value: str = ""
    """What that field is, in any case of letters; * stands for anything."""
    start: datetime | None = None
    """When a finished job ended: from here for `length`; null for the last `length`.

    Live jobs are in every time that reaches to now. Of a user: when the job was asked for.
    """
    length: timedelta = timedelta(days=731)

    @property
    def words(self) -> list[str]:
        """Which jobs, besides the time, part by part; they may hold what anybody wrote."""
        words = [f"status {' or '.join(self.statuses)}"] if self.statuses else []
        named = {"type": self.job_type, "model": self.model_id, "user": self.user_id}
        words += [f"{name} {value}" for name, value in named.items() if value]
        if self.error:
            words.append(f"error contains {self.error}")
        if self.path:
            words.append(f"{self.path} is {self.value or 'empty'}")
        return words

    @property
    def walks(self) -> list[str]:
        """The walks that the list is made of, in their order."""
        if self.user_id and self.job_type in (None, GENERATION_TYPE):
            return ["user"]
        wanted = set(self.statuses or STATUSES)
        walks = []
        if self.start is None:
            walks += ["running"] * ("processing" in wanted) + ["pending"] * ("pending" in wanted)
        if wanted & set(ENDED):
            walks.append("failed" if wanted & set(ENDED) == {"failed"} else "finished")
        if self.start is None and wanted != {"pending"}:
            walks.append("undated")
        return walks

    def refuse_some(self, walk: str) -> bool:
        """Whether a row of a walk may be one that is not wanted."""
        return bool(
            self.job_type
            or self.model_id
            or self.user_id
            or self.error
            or self.path
            or (self.statuses and walk in ("finished", "undated"))
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """For the query of a walk."""
        return {
            **self.kind,
            **self.span,
            "user_id": self.user_id,
            "error": _pattern(f"*{self.error}*") if self.error else None,
            "path": self.path.split(".") if self.path else None,
            "value": _pattern(self.value),
        }

    @property
    def kind(self) -> dict[str, Any]:
        """What the rollup knows of, for queries; null lets everything through."""
        return {
            "statuses": list(self.statuses) or None,
            "job_type": self.job_type,
            "model_id": self.model_id,
        }

    @property
    def span(self) -> dict[str, Any]:
        """The time, for queries."""
        return {"span_start": self.start, "span_length": self.length}


def _pattern(text: str) -> str:
    """Of ILIKE, where * stands for anything."""
    return re.sub(r"([\\%_])", r"\\\1", text).replace("*", "%")
