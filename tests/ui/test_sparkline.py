"""Curves of tiles: what the picture shows of its values."""

from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from lib.ui.tiles import HEIGHT, WIDTH, sparkline


def points(address: str) -> list[tuple[float, float]]:
    kind, _, svg = unquote(address).partition(",")
    assert kind == "data:image/svg+xml"
    line = ElementTree.fromstring(svg)[0].attrib["points"]
    return [(float(x), float(y)) for x, y in (point.split(",") for point in line.split())]


def test_goes_from_the_lowest_value_to_the_highest_and_from_edge_to_edge():
    (x1, low), (x2, middle), (x3, high) = points(sparkline([-5, 0, 5], "#123456"))
    assert 0 < high < HEIGHT / 4
    assert HEIGHT * 3 / 4 < low < HEIGHT
    assert middle == pytest.approx(HEIGHT / 2)
    assert 0 < x1 < WIDTH / 20
    assert WIDTH * 19 / 20 < x3 < WIDTH
    assert x2 == pytest.approx(WIDTH / 2)


def test_values_that_do_not_change_are_a_straight_line():
    assert {y for _, y in points(sparkline([7, 7, 7], "red"))} == {HEIGHT / 2}


def test_has_the_color_that_is_asked_for():
    assert 'stroke="#d64545"' in unquote(sparkline([1, 2], "#d64545"))
