"""Runs a worker in a process whose clock is wrong: `shifted_clock.py SECONDS`."""

import datetime
import runpy
import sys
import time
from pathlib import Path

SHIFT = float(sys.argv[1])
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime


class ShiftedDatetime(_datetime):
    """A datetime whose present is elsewhere."""

    __slots__ = ()

    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=SHIFT)

    @classmethod
    def utcnow(cls):
        return super().utcnow() + datetime.timedelta(seconds=SHIFT)


time.time = lambda: _time() + SHIFT
time.time_ns = lambda: _time_ns() + int(SHIFT * 1_000_000_000)
datetime.datetime = ShiftedDatetime
sys.path.insert(0, str(Path(__file__).parents[2]))
runpy.run_module("lib.worker", run_name="__main__", alter_sys=True)
