"""The verdict on the queue: the worst that is true, in words."""

import pytest

from lib.formats import duration, escaped, share
from lib.health import verdict

DOWN = {"provider": "replicate", "since": "03:12 UTC", "reason": "No answer."}
FINE = {
    "paused": [],
    "down": [],
    "pending": 0,
    "due": 0,
    "oldest_due_seconds": None,
    "processing": 1,
    "stuck": 0,
    "last_hour_completed": 50,
    "last_hour_failed": 0,
    "workers_alive": 1,
}


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({}, "good", "picked up"),
        ({"processing": 0, "last_hour_completed": 0}, "good", "ready"),
        ({"workers_alive": 0}, "look", "no worker"),
        ({"workers_alive": 0, "due": 3, "oldest_due_seconds": 89.0}, "look", "no worker"),
        ({"workers_alive": 0, "due": 3, "oldest_due_seconds": 91.0}, "act", "wait (3)"),
        ({"paused": ["*"], "due": 3, "oldest_due_seconds": 91.0}, "look", "all jobs is paused"),
        ({"paused": ["a", "b"]}, "look", "a, b is paused"),
        ({"down": [DOWN], "stuck": 1}, "act", "replicate is down since 03:12 UTC"),
        ({"due": 1, "oldest_due_seconds": 299.0}, "good", "picked up"),
        ({"due": 1, "oldest_due_seconds": 301.0}, "act", "5 min"),
        ({"stuck": 2}, "look", "2 stuck"),
        ({"last_hour_failed": 5}, "good", "picked up"),
        ({"last_hour_failed": 6}, "act", "10.7 %"),
        ({"last_hour_completed": 1, "last_hour_failed": 8}, "good", "picked up"),
        ({"last_hour_failed": 6, "stuck": 2}, "act", "failed"),
    ],
)
def test_says_the_worst_that_is_true(changed, level, words):
    found = verdict(FINE | changed)
    assert found.level == level
    assert words in found.reason


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (-0.2, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (266_400, "3 d 2 h"),
        (86_405, "1 d"),
    ],
)
def test_durations_read_in_two_units(seconds, words):
    assert duration(seconds) == words


def test_a_share_of_nothing_is_a_dash():
    assert (share(1, 8), share(0, 3), share(0, 0)) == ("12.5 %", "0.0 %", "–")


def test_escaped_text_has_no_markdown_left():
    assert escaped("![x](http://e.example) *a* $b$ :red[c]") == (
        r"\!\[x\]\(http\:\/\/e\.example\) \*a\* \$b\$ \:red\[c\]"
    )
