"""Locks on files, which the operating system releases when their process ends, however it ends.

They hold between containers too, which see none of each other's processes. POSIX only.
"""

import fcntl
from typing import TextIO


def try_lock(file: TextIO) -> bool:
    """Lock an open file exclusively until it is closed; False if another open file has a lock.

    A lock is shared with child processes that inherit the open file. Raises OSError if the file
    system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
