"""Column formats shared by all tables: counts, durations, times, models, links."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any
from uuid import UUID

import streamlit as st

from lib.formats import zone

PHONE_PIXELS, WIDEST_ON_PHONE = 358, 119


def fitting(columns: Mapping[str, Any], phone: Sequence[str] = ()) -> dict[str, Any]:
    """Options of st.dataframe that show all of these columns, in their order.

    On a phone the first that fit, narrowed, those of `phone` before the others; the rest is in the
    table's menu. Streamlit does not report the window's width, only the browser's name for itself.
    """
    shown = dict(columns)
    if "Mobi" in st.context.headers.get("User-Agent", ""):
        first = {name: columns[name] for name in phone if name in columns}
        ordered = first | dict(columns)
        shown = {name: _with_width(column, _on_phone(column)) for name, column in ordered.items()}
        widths = accumulate(map(_on_phone, ordered.values()))
        names = [name for name, width in zip(shown, widths, strict=True) if width <= PHONE_PIXELS]
    else:
        names = list(columns)
    return {"column_order": names, "column_config": shown}


def _on_phone(column: Any) -> int:
    """A column's width on a phone, in pixels."""
    # A column of buttons is no mapping, but has one.
    width = (column if isinstance(column, Mapping) else column.config)["width"]
    return min(width or WIDEST_ON_PHONE, WIDEST_ON_PHONE)


def _with_width(column: Any, width: int) -> Any:
    if isinstance(column, Mapping):
        return {**column, "width": width}
    return replace(column, config={**column.config, "width": width})


def count_column(label: str | None = None, help: str | None = None, **options: Any) -> Any:
    """Integers with thousands separators."""
    return st.column_config.NumberColumn(label, help=help, format="localized", **options)


def seconds_column(label: str | None = None, help: str | None = None, **options: Any) -> Any:
    """Durations in seconds. Numeric rather than formatted text, so that they sort correctly."""
    return st.column_config.NumberColumn(label, help=help, format="%.1f s", **options)


def percent_column(label: str | None = None, help: str | None = None, **options: Any) -> Any:
    """Percentages: 12.5 means 12.5%."""
    return st.column_config.NumberColumn(label, help=help, format="%.1f%%", **options)


def change_column(label: str | None = None, help: str | None = None, **options: Any) -> Any:
    """Changes in percent with their sign: 12.4 means +12%."""
    return st.column_config.NumberColumn(label, help=help, format="%+.0f%%", **options)


def time_column(
    label: str | None = None, *, seconds: bool = False, year: bool = False, **options: Any
) -> Any:
    """Times in the viewer's time zone, to the minute or second."""
    form = f"D MMM {'YYYY ' if year else ''}HH:mm{':ss' if seconds else ''}"
    viewers = zone(st.context.timezone).key
    return st.column_config.DatetimeColumn(label, format=form, timezone=viewers, **options)


def age_column(label: str | None = None, help: str | None = None, **options: Any) -> Any:
    """Recent times relative to now, such as "3 minutes ago". They sort as times."""
    width = options.pop("width", 125)
    return st.column_config.DatetimeColumn(
        label, help=help, format="distance", width=width, **options
    )


def model_name(model_id: str | None) -> str:
    """The short name of a model: "flux-dev" of "black-forest-labs/flux-dev"; a dash for none."""
    return (model_id or "").rpartition("/")[2] or "–"


def model_names(model_ids: Sequence[str]) -> str:
    """The short name of the first model, and how many others there are."""
    others = f" + {len(model_ids) - 1}" if len(model_ids) > 1 else ""
    return f"{model_name(model_ids[0])}{others}"


def short_id(whole: UUID | str) -> str:
    """The first digits of an id, which suffice to tell the rows of a table apart."""
    return str(whole)[:8]


def job_links(job_ids: Iterable[UUID]) -> list[str]:
    """URLs of the jobs' pages, for job_column."""
    return [f"/job?id={job_id}" for job_id in job_ids]


def job_column(label: str = "Job", **options: Any) -> Any:
    """A column of job_links, shown as short job ids."""
    width = options.pop("width", 85)
    return st.column_config.LinkColumn(
        label, display_text=r"id=([0-9a-f]{8})", width=width, **options
    )
