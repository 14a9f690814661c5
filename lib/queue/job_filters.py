"""Filters of the job list, and the index scans that they require."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

LIVE, ENDED = ("pending", "processing"), ("completed", "failed", "cancelled")
STATUSES = (*LIVE, *ENDED)
VIEWS: dict[str, tuple[str, ...]] = {
    "all": (),
    "pending": ("pending",),
    "running": ("processing",),
    "completed": ("completed",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
}
"""Views of the list, and the statuses of their jobs; empty for all.

Running is without stuck jobs.
"""
ALL_TIME = timedelta(days=731)
GENERATION_TYPE = "generate-image"
"""Type of the jobs that belong to a generation; filtering by user needs generations."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of the job list; None and empty match all jobs."""

    statuses: tuple[str, ...] = ()
    job_type: str | None = None
    model_id: str | None = None
    user_id: UUID | None = None
    id_prefix: str | None = None
    """First digits of a job's or a generation's id; then `job_list.by_id` gives the list."""
    error: str | None = None
    """Part of the error message, case-insensitive; * matches anything."""
    path: str | None = None
    """A field of the payload, such as prompt or input.seed."""
    value: str = ""
    """Value of that field, case-insensitive; * matches anything."""
    start: datetime | None = None
    """Start of the time range in which finished jobs ended; None for the last `length`.

    Live jobs match every range that ends now. With a user: when the job was requested.
    """
    length: timedelta = ALL_TIME

    @property
    def narrowed(self) -> bool:
        """Whether anything but the status limits the list."""
        return (
            any((self.job_type, self.model_id, self.user_id, self.id_prefix, self.error, self.path))
            or self.start is not None
            or self.length < ALL_TIME
        )

    @property
    def walks(self) -> list[str]:
        """The walks that make up the list, in order; see job_list."""
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

    def may_exclude(self, walk: str) -> bool:
        """Whether the filters may exclude rows of a walk."""
        return bool(
            self.job_type
            or self.model_id
            or self.user_id
            or self.error
            or self.path
            or (self.statuses and walk in ("running", "finished", "undated"))
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the query of a walk."""
        return {
            **self.kind,
            **self.span,
            "user_id": self.user_id,
            "error": pattern(f"*{self.error}*") if self.error else None,
            "path": self.path.split(".") if self.path else None,
            "value": pattern(self.value),
        }

    @property
    def kind(self) -> dict[str, Any]:
        """Parameters for the filters that the rollup supports; None matches everything."""
        return {
            "statuses": list(self.statuses) or None,
            "job_type": self.job_type,
            "model_id": self.model_id,
        }

    @property
    def span(self) -> dict[str, Any]:
        """Parameters for the time range."""
        return {"span_start": self.start, "span_length": self.length}


def pattern(text: str) -> str:
    """Translate a filter with * wildcards into an ILIKE pattern."""
    return re.sub(r"([\\%_])", r"\\\1", text).replace("*", "%")
