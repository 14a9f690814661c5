"""Threads share the memory arenas of the process."""

import subprocess
import sys

import pytest

THREADS = 8
PROGRAM = f"""
import ctypes, threading
from lib.memory import limit_arenas
if {{limited}}:
    limit_arenas()
together = threading.Barrier({THREADS})
def take():
    together.wait()
    kept = [bytes(1000) for _ in range(1000)]
    together.wait()
threads = [threading.Thread(target=take) for _ in range({THREADS})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fflush(ctypes.c_void_p(out))
"""


def arenas(*, limited: bool) -> int:
    """How many arenas a process has that allocated in several threads at once."""
    program = PROGRAM.format(limited=limited)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has arenas")
def test_threads_share_two_arenas():
    assert arenas(limited=True) <= 2 < arenas(limited=False)
