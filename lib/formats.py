"""Format numbers and text the same way on every page."""

import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float | None) -> str:
    """A duration in its two largest units, such as "3 min 20 s"; tenths below 10 s."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    rest = round(seconds)
    words: list[str] = []
    for length, unit in UNITS:
        count, rest = divmod(rest, length)
        if count or words:
            words.append(f"{count} {unit}")
    return " ".join(word for word in words[:2] if not word.startswith("0 "))


def ago(seconds: float) -> str:
    """A past moment in its largest unit, such as "3 min ago"."""
    for length, unit in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def number(value: float) -> str:
    """A number such as "12,345"; below 100 with three significant digits, such as "4.35"."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


def percent(fraction: float) -> str:
    """A fraction as a percentage: 0.032 as "3.2%"."""
    return f"{100 * fraction:.1f}%"


def share(part: int, whole: int) -> str:
    """A share as a percentage, such as "3.2%"; a dash if `whole` is zero."""
    return percent(part / whole) if whole else "–"


def signed_change(difference: float, formatted: str) -> str | int:
    """A difference with its sign, such as "+3 min 20 s"; 0 if it rounds to zero.

    `formatted` is its magnitude as text.
    """
    if not re.search("[1-9]", formatted):
        return 0
    return f"{'-' if difference < 0 else '+'}{formatted}"


# Positions where Streamlit's Markdown would still make links, arrows, dashes or emoji (:fire:) of
# escaped text.
_AUTO_FORMATTED = re.compile(
    r"(?<=http)(?=s?:)|(?<=www)(?=\.)|(?=@)|(?<=:)(?=[\w/+-]+:)|(?<=[-<>~=])(?=[-<>=])",
    re.IGNORECASE,
)


def zone(name: str | None) -> ZoneInfo:
    """The time zone of that name; UTC if there is none, or none of that name."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def escaped(text: str) -> str:
    """Escape text so that Streamlit's Markdown shows it literally, on one line.

    URLs get an invisible character, so that they do not become links.
    """
    separated = _AUTO_FORMATTED.sub("\u2060", " ".join(text.split()))
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", separated)


def size(count: float) -> str:
    """A size in bytes, such as "1.4 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def sentence(text: str) -> str:
    """Text of others, such as an error, with a full stop; empty if it is."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) or not text else f"{text}."


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a", "a and b" or "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def plural(count: int, word: str = "job") -> str:
    """A count with its noun, such as "1 job" or "1,200 jobs"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
