"""The time range picker: the last hours or days, or a start and an end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import streamlit as st

from lib.ui.dashboard import format_time, time_zone

MAX_LENGTH = timedelta(days=731)
"""Upper bound, so that no link can request unlimited data."""
ALL_TIME = "Any time"
"""The last two years, for pages whose cost does not grow with the range."""
RANGES = {
    "10 min": timedelta(minutes=10),
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(days=1),
    "7 d": timedelta(days=7),
    "30 d": timedelta(days=30),
    "90 d": timedelta(days=90),
    ALL_TIME: MAX_LENGTH,
}
DEFAULT_CHOICES = tuple(RANGES)[1:-1]
CUSTOM = "From … to …"

Step = Literal["minute", "hour", "day"]
STEP_LENGTHS: dict[Step, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The last `length`, or `length` from `start`.

    A relative range is kept relative, so that all viewers of "the last 24 h" share a cached answer.
    """

    length: timedelta
    start: datetime | None = None
    """None for a range that ends now."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Query parameters: `start` (timestamptz; null means `now() - length`) and `length`."""
        return {"start": self.start, "length": self.length}

    @property
    def bucket(self) -> Step:
        """The finest step that gives at most a few hundred points."""
        if self.length <= timedelta(hours=6):
            return "minute"
        return "hour" if self.length <= timedelta(days=14) else "day"

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps that the viewer may choose from, the default first.

        Minutes are read row by row and hours cost more than days, so long ranges offer neither.
        """
        if self.length <= timedelta(hours=1):
            return ("minute",)
        if self.length <= timedelta(hours=6):
            return ("hour", "minute")
        if self.length < timedelta(days=2):
            return ("hour",)
        return ("hour", "day") if self.length <= timedelta(days=7) else ("day",)

    @property
    def description(self) -> str:
        """For use in a sentence: "the last 24 h" or "the period 4 Nov 09:30 to 4 Nov 10:30"."""
        if self.start is None:
            if self.length == MAX_LENGTH:
                return "the last 2 years"
            return "the last " + next(k for k, v in RANGES.items() if v == self.length)
        return f"the period {format_time(self.start)} to {format_time(self.start + self.length)}"


def custom_range(start: datetime, length: timedelta) -> dict[str, str]:
    """A time range as filters in the URL of a page with the picker."""
    ends = (at.astimezone(time_zone()).replace(tzinfo=None) for at in (start, start + length))
    first, last = (f"{at:%Y-%m-%dT%H:%M}" for at in ends)
    return {"time": CUSTOM, "from": first, "to": last}


def time_range(choices: Sequence[str] = DEFAULT_CHOICES, default: str = "24 h") -> TimeRange:
    """Draw the picker, in the viewer's time zone and stored in the URL."""
    _forget_unless([*choices, CUSTOM])
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
        span = _chosen(choice or default, default)
    if span is None:
        st.stop()
    return span


def time_menu(choices: Sequence[str], default: str) -> TimeRange | None:
    """The same picker as a menu, for a row of filters; None if the chosen range is invalid."""
    options = [*choices, CUSTOM]
    _forget_unless(options)
    choice = st.selectbox(
        "Time", options, options.index(default), key="time", bind="query-params", width=140
    )
    return _chosen(choice, default)


def _forget_unless(options: Sequence[str]) -> None:
    """Forget the choice of another page that this one does not offer, and links would repeat."""
    if st.session_state.get("time") not in options:
        st.session_state.pop("time", None)


def _chosen(choice: str, default: str) -> TimeRange | None:
    if choice != CUSTOM:
        return TimeRange(RANGES[choice])
    now = datetime.now(time_zone()).replace(second=0, microsecond=0, tzinfo=None)
    first = st.datetime_input(
        "From", now - RANGES[default], key="from", bind="query-params", width=220
    )
    last = st.datetime_input("To", now, key="to", bind="query-params", width=220)
    if first is None or last is None or first >= last:
        st.error("The end must be after the start. Choose an earlier start or a later end.")
        return None
    # Subtracted in UTC, so that a day with a clock change has its 23 or 25 hours.
    start, end = (at.replace(tzinfo=time_zone()).astimezone(UTC) for at in (first, last))
    if end - start > MAX_LENGTH:
        st.warning(f"Limited to the {MAX_LENGTH.days} days before the end.")
        start = end - MAX_LENGTH
    return TimeRange(end - start, start)
