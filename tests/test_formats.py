"""What pages make of names and numbers that come from elsewhere."""

import pytest

from lib.formats import zone


@pytest.mark.parametrize("name", ["Europe/Berlin", "GMT", "UTC"])
def test_a_time_zone_is_found_by_its_name(name: str) -> None:
    assert zone(name).key == name


@pytest.mark.parametrize(
    "name",
    [None, "", "Etc/Unknown", "Etc", "GMT+24", "gmt", "<+03>-3", "../UTC", "/etc/passwd", "a\0b"],
)
def test_an_unknown_time_zone_is_utc(name: str | None) -> None:
    assert zone(name).key == "UTC"
