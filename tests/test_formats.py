"""What pages make of names and numbers that come from elsewhere."""

import pytest

from lib.formats import ago, percent, share, zone


@pytest.mark.parametrize("name", ["Europe/Berlin", "GMT", "UTC"])
def test_a_time_zone_is_found_by_its_name(name: str) -> None:
    assert zone(name).key == name


@pytest.mark.parametrize(
    "name",
    [None, "", "Etc/Unknown", "Etc", "GMT+24", "gmt", "<+03>-3", "../UTC", "/etc/passwd", "a\0b"],
)
def test_an_unknown_time_zone_is_utc(name: str | None) -> None:
    assert zone(name).key == "UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "just now"), (-3, "just now"), (59.9, "59 s ago"), (200, "3 min ago"),
     (7_300, "2 h ago"), (86_400 * 12.7, "12 d ago")],
)  # fmt: skip
def test_a_past_moment_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_percentages_have_no_space() -> None:
    assert (percent(0.0321), share(1, 8), share(0, 0)) == ("3.2%", "12.5%", "–")
