"""How the process takes memory from the system."""

import ctypes
import sys

ARENAS = 2
_ARENA_MAX = -8
"""Its number in glibc's malloc.h."""


def limit_arenas() -> None:
    """Let all threads share a few of glibc's memory arenas; elsewhere, do nothing.

    Otherwise each of the many threads that draw pages and decode images would get an arena of its
    own and keep what it once needed: an app with five viewers took 500 MB instead of 300.
    To be called before threads have started.
    """
    if sys.platform == "linux":
        # Another C library, such as Alpine's, has neither arenas nor the function.
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option:
            set_option(_ARENA_MAX, ARENAS)
