"""How numbers are written on every page."""

import re

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units, such as "3 min 20 s"; tenths below 10 s."""
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


def number(value: float) -> str:
    """A number such as "12,345"; below a hundred with three digits, such as "4.35"."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


def percent(fraction: float) -> str:
    """A fraction in percent: 0.032 as "3.2 %"."""
    return f"{100 * fraction:.1f} %"


def share(part: int, whole: int) -> str:
    """A share in percent, such as "3.2 %"; a dash where there is nothing to share."""
    return percent(part / whole) if whole else "–"


def change(difference: float, written: str) -> str | int:
    """A difference with its sign, such as "+3 min 20 s"; 0 where it is too small to be written.

    `written` is its size in words.
    """
    if not re.search("[1-9]", written):
        return 0
    return f"{'-' if difference < 0 else '+'}{written}"


# Where the browser's Markdown still sees addresses, arrows, dashes and names of pictures, such as
# :fire:, in escaped text.
_SEEN_IN_TEXT = re.compile(
    r"(?<=http)(?=s?:)|(?<=www)(?=\.)|(?=@)|(?<=:)(?=[\w/+-]+:)|(?<=[-<>~=])(?=[-<>=])",
    re.IGNORECASE,
)


def escaped(text: str) -> str:
    """A text that Streamlit's Markdown shows as it is: no link, image, colour, formula or line.

    Addresses hold an invisible character, so that they do not become links.
    """
    parted = _SEEN_IN_TEXT.sub("\u2060", " ".join(text.split()))
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", parted)


def size(count: float) -> str:
    """A number of bytes, such as "1.4 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def plural(count: int, word: str = "job") -> str:
    """A count with its word, such as "1 job" or "1,200 jobs"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
