"""The verdict on the queue: all that is wrong, in words."""

import re
from datetime import UTC, datetime

import pytest

from lib.checks.health import verdict
from lib.formats import duration, escaped, share, signed_change

DOWN = {
    "provider": "replicate",
    "seconds": 720.0,
    "retry_seconds": 38.0,
    "reason": "No answer.",
}
UPSCALE = {"job_type": "upscale", "expected": True, "due": 3, "seconds": 91.0}
ALL = {"job_type": "*", "by": "root", "seconds": 61.0, "reason": None}
SOME = {"job_type": "a", "by": "eve", "seconds": 5.0, "reason": "a rest"}
RULES = {
    "no_worker": {"limit": 120, "minimum": None, "critical": True},
    "provider_down": {"limit": 0, "minimum": None, "critical": True},
    "oldest_pending": {"limit": 300, "minimum": None, "critical": True},
    "failure_rate": {"limit": 0.1, "minimum": 10, "critical": True},
    "stuck_jobs": {"limit": 0, "minimum": None, "critical": False},
    "no_completion": {"limit": 300, "minimum": None, "critical": True},
}
STRICT = RULES | {
    "failure_rate": {"limit": 0.05, "minimum": 3, "critical": False},
    "stuck_jobs": {"limit": 2, "minimum": None, "critical": True},
}
RATE_LIMITED = {"rate_limited": 2, "oldest_rate_limited_seconds": 299.0, "held_models": ["a/b"]}
IDLE = {
    "rule": "no_completion",
    "subject": "",
    "value": 360.0,
    "worst": 480.0,
    "detail": {},
    "calm_since": None,
    "began_at": "2026-11-04T09:30:00+00:00",
}
FINE = {
    "rules": RULES,
    "alerts": [],
    "worker_seen_seconds": 5.0,
    "unhandled": [],
    "paused": [],
    "down": [],
    "held_models": [],
    "due": 0,
    "oldest_due_seconds": None,
    "rate_limited": 0,
    "oldest_rate_limited_seconds": None,
    "processing": 1,
    "stuck": 0,
    "stuck_seconds": None,
    "pending": 0,
    "last_completion_seconds": None,
    "wait_p95": 2.0,
    "last_hour_completed": 50,
    "last_hour_failed": 0,
    "workers_alive": 1,
}


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({}, "good", "50 completed in the last hour, p95 wait 2.0 s."),
        ({"processing": 0, "last_hour_completed": 0}, "good", "The queue is empty"),
        (
            {"processing": 0, "last_hour_completed": 0, "last_completion_seconds": 7200.0},
            "good",
            "Last completion 2 h ago.",
        ),
        ({"last_hour_completed": 0, "pending": 3}, "good", "3 jobs pending, 1 running."),
        (
            {"workers_alive": 0, "worker_seen_seconds": 61.0},
            "warning",
            "heartbeat 1 min 1 s ago. Start",
        ),
        ({"workers_alive": 0, "worker_seen_seconds": 120.0}, "warning", "No worker"),
        (
            {"workers_alive": 0, "worker_seen_seconds": 121.0},
            "critical",
            "heartbeat 2 min 1 s ago. Start",
        ),
        (
            {"workers_alive": 0, "due": 3, "oldest_due_seconds": 91.0},
            "warning",
            "3 jobs pending, the oldest for 1 min 31 s.",
        ),
        ({"paused": [ALL]}, "warning", "Queue paused by root 1 min 1 s ago (all jobs)."),
        (
            {"paused": [SOME, ALL]},
            "warning",
            "by eve 5.0 s ago (a): a rest. Queue paused by root",
        ),
        (
            {"down": [DOWN], "pending": 41},
            "critical",
            "Provider replicate down for 12 min (circuit open); 41 jobs pending. Next test in 38"
            " s. No answer.",
        ),
        ({"down": [DOWN | {"reason": None}]}, "critical", "its jobs stay pending."),
        ({"due": 1, "oldest_due_seconds": 299.0}, "good", "completed in the last hour"),
        ({"due": 1, "oldest_due_seconds": 301.0}, "critical", "5 min 1 s: workers cannot keep up."),
        (
            {"due": 1, "oldest_due_seconds": 301.0} | RATE_LIMITED,
            "critical",
            "5 min 1 s: workers cannot keep up.",
        ),
        (
            RATE_LIMITED | {"oldest_rate_limited_seconds": 301.0},
            "critical",
            "waited 5 min 1 s: a/b rate-limited.",
        ),
        (RATE_LIMITED, "good", "completed in the last hour"),
        (
            RATE_LIMITED | {"processing": 0, "last_hour_completed": 0},
            "good",
            "2 jobs pending: a/b rate-limited.",
        ),
        (
            {"unhandled": [UPSCALE], "due": 3, "oldest_due_seconds": 91.0},
            "warning",
            "No worker alive for upscale jobs. 3 jobs pending, the oldest for 1 min 31 s. Start a"
            " worker that runs this type, or cancel its jobs.",
        ),
        ({"unhandled": [UPSCALE | {"seconds": 121.0}]}, "critical", "No worker alive for upscale"),
        (
            {"unhandled": [UPSCALE | {"seconds": 3600.0, "expected": False}]},
            "warning",
            "No worker alive for upscale",
        ),
        ({"stuck": 2}, "warning", "2 jobs stuck: no recent heartbeat."),
        (
            {"stuck": 2, "stuck_seconds": 600.0},
            "warning",
            "2 jobs stuck: no heartbeat for up to 10 min.",
        ),
        ({"last_hour_failed": 5}, "good", "completed in the last hour"),
        ({"last_hour_failed": 6}, "critical", "10.7% of jobs failed in the last hour (6 of 56)."),
        ({"last_hour_completed": 1, "last_hour_failed": 8}, "good", "completed in the last hour"),
        ({"rules": STRICT, "last_hour_completed": 1, "last_hour_failed": 8}, "warning", "88.9%"),
        ({"rules": STRICT, "last_hour_failed": 3}, "warning", "5.7%"),
        ({"rules": STRICT, "stuck": 2}, "good", "completed in the last hour"),
        ({"rules": STRICT, "stuck": 3}, "critical", "3 jobs stuck"),
        ({"alerts": [IDLE]}, "critical", "No job completed for 6 min while jobs are pending."),
        ({"alerts": [IDLE | {"rule": "stuck_jobs"}]}, "good", "completed in the last hour"),
    ],
)
def test_says_what_is_wrong(changed, level, words):
    found = verdict(FINE | changed)
    assert found.level == level
    assert words in found.reason


def test_says_since_when():
    [condition] = verdict(FINE | {"alerts": [IDLE]}).conditions
    assert condition.since == datetime(2026, 11, 4, 9, 30, tzinfo=UTC)
    alert = IDLE | {"rule": "failure_rate"}
    failing = {"last_hour_failed": 30, "alerts": [alert]}
    [condition] = verdict(FINE | failing).conditions
    assert condition.since == datetime(2026, 11, 4, 9, 30, tzinfo=UTC)
    # The reason says how long.
    alert = IDLE | {"rule": "stuck_jobs"}
    [condition] = verdict(FINE | {"stuck": 2, "alerts": [alert]}).conditions
    assert condition.since is None


def test_a_figure_has_the_worst_level_of_its_conditions():
    found = verdict(FINE | {"stuck": 2, "down": [DOWN]})
    levels = [found.level_of(names) for names in (["stuck"], ["stuck", "provider_down"], ["a"])]
    assert levels == ["warning", "critical", "good"]


def test_an_alert_that_is_about_to_resolve_names_its_worst_value_and_marks_no_figure():
    calm = {"rule": "wait_p95", "value": 0.0, "worst": 201.0, "calm_since": IDLE["began_at"]}
    rules = RULES | {"wait_p95": {"limit": 60, "minimum": None, "critical": False}}
    found = verdict(FINE | {"rules": rules, "alerts": [IDLE | calm]})
    assert found.reason == "p95 wait: 3 min 21 s at worst, now 0 s; about to resolve."
    assert (found.level, found.level_of(["wait_p95"])) == ("warning", "good")


def test_lists_all_that_is_wrong_the_worst_first():
    names = [
        condition.name
        for condition in verdict(
            FINE
            | {"paused": [SOME], "stuck": 2, "last_hour_failed": 60, "down": [DOWN, DOWN]}
            | {"due": 9, "oldest_due_seconds": 301.0}
        ).conditions
    ]
    assert names == [
        "provider_down", "provider_down", "waits_too_long", "many_failures", "paused", "stuck",
    ]  # fmt: skip


def test_says_once_that_jobs_wait_because_nobody_works():
    found = verdict(FINE | {"workers_alive": 0, "due": 9, "oldest_due_seconds": 9999.0})
    assert [condition.name for condition in found.conditions] == ["no_worker"]


@pytest.mark.parametrize(
    ("due", "oldest", "others"), [(0, None, []), (9, 399.0, ["waits_too_long"])]
)
def test_a_type_that_nobody_runs_does_not_hide_that_others_wait(due, oldest, others):
    waiting = {"unhandled": [UPSCALE | {"seconds": 901.0}]}
    waiting |= {"due": due, "oldest_due_seconds": oldest}
    found = verdict(FINE | waiting)
    assert [condition.name for condition in found.conditions] == ["unhandled_types", *others]


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


@pytest.mark.parametrize(
    ("difference", "written", "words"),
    [(2, "2", "+2"), (-1.5, "1.5 s", "-1.5 s"), (-0.01, "0.0 s", 0), (0, "0%", 0)],
)
def test_a_change_has_a_sign_unless_it_is_too_small_to_say(difference, written, words):
    assert signed_change(difference, written) == words


def test_a_share_of_nothing_is_a_dash():
    assert (share(1, 8), share(0, 3), share(0, 0)) == ("12.5%", "0.0%", "–")


def test_escaped_text_has_no_markdown_left():
    assert escaped("![x](http://e.example) *a* $b$ :red[c]") == (
        "\\!\\[x\\]\\(http\u2060\\:\\/\\/e\\.example\\) \\*a\\* \\$b\\$ \\:red\\[c\\]"
    )


@pytest.mark.parametrize(
    ("text", "parted"),
    [
        ("see https://e.example", "see http\u2060s://e.example"),
        ("see WWW.e.example", "see WWW\u2060.e.example"),
        ("ask me@e.example", "ask me\u2060@e.example"),
        (":streamlit: :+1:", ":\u2060streamlit: :\u2060+1:"),
        ("see :material/skull: at 21:39", "see :\u2060material/skull: at 21:39"),
        ("a --> b <- c >= d", "a -\u2060-\u2060> b <\u2060- c >\u2060= d"),
        ("one\n\n# two", "one # two"),
        ("plain www text of http", "plain www text of http"),
    ],
)
def test_escaped_text_is_no_link_arrow_or_line(text, parted):
    assert re.sub(r"\\(.)", r"\1", escaped(text)) == parted
