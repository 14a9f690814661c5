"""Column formats shared by all tables: counts, durations, times, links."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import streamlit as st

from lib.formats import zone


def count_column(label: str | None = None, help: str | None = None, **options: Any) -> Any:
    """Integers with thousands separators."""
    return st.column_config.NumberColumn(label, help=help, format="localized", **options)


def seconds_column(label: str | None = None, help: str | None = None) -> Any:
    """Durations in seconds. Numeric rather than formatted text, so that they sort correctly."""
    return st.column_config.NumberColumn(label, help=help, format="%.1f s")


def percent_column(label: str | None = None, help: str | None = None) -> Any:
    """Percentages: 12.5 means 12.5 %."""
    return st.column_config.NumberColumn(label, help=help, format="%.1f %%")


def time_column(label: str | None = None, *, seconds: bool = False, year: bool = False) -> Any:
    """Times in the viewer's time zone, to the minute or second."""
    form = f"D MMM {'YYYY ' if year else ''}HH:mm{':ss' if seconds else ''}"
    viewers = zone(st.context.timezone).key
    return st.column_config.DatetimeColumn(label, format=form, timezone=viewers)


def job_links(job_ids: Iterable[UUID]) -> list[str]:
    """URLs of the jobs' pages, for job_column."""
    return [f"/job?id={job_id}" for job_id in job_ids]


def job_column(label: str = "Job", **options: Any) -> Any:
    """A column of job_links, shown as short job ids."""
    return st.column_config.LinkColumn(label, display_text=r"id=([0-9a-f]{8})", **options)
