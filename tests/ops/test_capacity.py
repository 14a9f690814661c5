"""Erlang's C formula against published values, and what is made of it."""

import math
import time

import pytest

from lib.ops.capacity import Outlook, erlang_c, outlook, slots_for, summary


@pytest.mark.parametrize(
    ("slots", "load", "waiting"),
    [
        (1, 0.5, 0.5),  # M/M/1: the load itself
        (1, 0.9, 0.9),
        (2, 1.0, 1 / 3),  # M/M/2: 2 r^2 / (1 + r) for a load r of each
        (3, 2.0, 4 / 9),
        (5, 4.0, 0.5541),
        (10, 8.0, 0.4092),
        (11, 10.0, 0.6821),
        (14, 10.0, 0.1741),
        (10, 6.0, 0.1013),
        (4, 0.0, 0.0),
        (4, 4.0, 1.0),
        (4, 9.0, 1.0),
    ],
)
def test_erlang_c(slots, load, waiting):
    assert erlang_c(slots, load) == pytest.approx(waiting, abs=5e-5)


@pytest.mark.parametrize(("slots", "load"), [(4, 3.5), (17, 12.0), (60, 59.0)])
def test_erlang_c_as_it_is_defined(slots, load):
    terms = [load**n / math.factorial(n) for n in range(slots)]
    last = load**slots / math.factorial(slots) * slots / (slots - load)
    assert erlang_c(slots, load) == pytest.approx(last / (sum(terms) + last))


def test_a_large_load_does_not_overflow():
    assert 0 < erlang_c(20_200, 20_000.0) < 1


@pytest.mark.parametrize("load", [0.2, 3.0, 8.4, 120.0])
@pytest.mark.parametrize("wait", [0.0, 1.0, 30.0])
def test_the_fewest_slots_that_hold_the_wait(load, wait):
    def late(slots):
        return erlang_c(slots, load) * math.exp(-(slots - load) * wait / 5)

    slots = slots_for(load, 5, wait, 0.95)
    assert late(slots) <= 0.05
    assert slots - 1 <= load or late(slots - 1) > 0.05


def test_known_staffing():
    # 100 calls in half an hour of 3 minutes each are 10 erlangs; 80% within 20 s need 14 agents.
    assert slots_for(10, 180, 20, 0.8) == 14


def test_no_load_needs_one_slot():
    assert slots_for(0, 5, 30) == 1


@pytest.mark.parametrize("bad", [(-1, 5, 1, 0.9), (1, 0, 1, 0.9), (1, 5, -1, 0.9), (1, 5, 1, 1)])
def test_senseless_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="must not be negative"):
        slots_for(*bad)


@pytest.mark.parametrize(
    ("waiting", "arrived", "ended", "expected"),
    [
        (0, 50, 0, Outlook("empty")),
        (9, 600, 600, Outlook("keeping up")),  # 600 an hour are ten a minute
        (10, 600, 600, Outlook("growing")),
        (100, 400, 600, Outlook("draining", 1800)),
        (100, 600, 400, Outlook("growing")),
        (5, 0, 0, Outlook("growing")),
    ],
)
def test_outlook(waiting, arrived, ended, expected):
    assert outlook(waiting, arrived, ended) == expected


def test_an_absurd_load_is_answered_at_once():
    started = time.monotonic()
    assert slots_for(1e18, 7e9, 60) == 10**18 + 1
    assert slots_for(99_999, 10, 60) < 99_999 * 1.01
    assert time.monotonic() - started < 1


TOO_FEW = "Too few jobs in the last hour to estimate the capacity needed."
PACE = {"arrived": 1200, "ended": 1200, "run_seconds": 6.0, "attempts": 1.0, "slots": 10}


@pytest.mark.parametrize(
    ("pace", "sentence"),
    [
        (
            PACE,
            "Needed for a p95 wait under 10 s at the last hour's rate (1,200 jobs, 6.0 s each):"
            " 4 of 10 slots.",
        ),
        (
            PACE | {"slots": 3},
            "1 more slot would keep the p95 wait under 10 s at the last hour's rate"
            " (1,200 jobs, 6.0 s each): 4 needed, 3 available.",
        ),
        (PACE | {"arrived": 19}, TOO_FEW),
        (PACE | {"ended": 5}, TOO_FEW),
        (PACE | {"run_seconds": None}, TOO_FEW),
    ],
)  # fmt: skip
def test_summary(pace, sentence):
    assert summary(pace) == sentence
