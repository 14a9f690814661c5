"""The time that a page is about: the last hours or days, or from one moment to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import streamlit as st

from lib.ui.dashboard import moment, time_zone

LONGEST = timedelta(days=731)
"""So that no link can ask for a page without end."""
ALL = "2 years"
"""The choice of a page whose cost does not grow with the time."""
LENGTHS = {
    "10 min": timedelta(minutes=10),
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(days=1),
    "7 d": timedelta(days=7),
    "30 d": timedelta(days=30),
    "90 d": timedelta(days=90),
    ALL: LONGEST,
}
USUAL = tuple(LENGTHS)[1:-1]
CUSTOM = "From … to …"

Step = Literal["minute", "hour", "day"]
STEP_LENGTHS: dict[Step, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A length that ends now, or a start and an end.

    A length stays one, so that all viewers of "the last 24 hours" share one answer.
    """

    length: timedelta
    start: datetime | None = None
    """Null for a range that ends now."""

    @property
    def parameters(self) -> dict[str, Any]:
        """For queries: `start` (timestamptz or null) and `length` (interval).

        A null start means `now() - length`.
        """
        return {"start": self.start, "length": self.length}

    @property
    def bucket(self) -> Step:
        """How finely it is worth drawing: at most some hundred steps."""
        if self.length <= timedelta(hours=6):
            return "minute"
        return "hour" if self.length <= timedelta(days=14) else "day"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that a viewer may choose to see it in, the usual one first.

        Minutes are read row by row and hours cost more than days, so long times have neither.
        """
        if self.length <= timedelta(hours=1):
            return ("minute",)
        if self.length <= timedelta(hours=6):
            return ("hour", "minute")
        if self.length < timedelta(days=2):
            return ("hour",)
        return ("hour", "day") if self.length <= timedelta(days=7) else ("day",)

    @property
    def words(self) -> str:
        """As part of a sentence: "the last 24 h", or from when to when."""
        if self.start is None:
            return "the last " + next(k for k, v in LENGTHS.items() if v == self.length)
        return f"{moment(self.start)} to {moment(self.start + self.length)}"


def time_range(choices: Sequence[str] = USUAL, default: str = "24 h") -> TimeRange:
    """Lets the viewer choose, in their time zone and in the page's URL; default: the last day."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choice = st.segmented_control(
            "Time",
            [*choices, CUSTOM],
            default=default,
            required=True,
            key="time",
            bind="query-params",
            wrap=True,
        )
        if choice != CUSTOM:
            return TimeRange(LENGTHS[choice or default])
        now = datetime.now(time_zone()).replace(second=0, microsecond=0, tzinfo=None)
        first = st.datetime_input(
            "From", now - LENGTHS[default], key="from", bind="query-params", width=220
        )
        last = st.datetime_input("To", now, key="to", bind="query-params", width=220)
    if first is None or last is None or first >= last:
        st.error("The time ends before it begins: choose an earlier start or a later end.")
        st.stop()
    # In UTC, where a day that the clocks are changed on has its 23 or 25 hours.
    start, end = (at.replace(tzinfo=time_zone()).astimezone(UTC) for at in (first, last))
    if end - start > LONGEST:
        st.warning(f"At most {LONGEST.days} days are shown: the last ones before the end.")
        start = end - LONGEST
    return TimeRange(end - start, start)
