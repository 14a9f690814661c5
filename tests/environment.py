"""Where tests keep databases, and what the processes that they start know of the machine."""

import os
import shutil
import tempfile
from pathlib import Path

KEPT = ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG")
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30


def bare(**settings: str) -> dict[str, str]:
    """An environment with these settings alone, measured where this process is."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | settings


def data_folder(purpose: str) -> Path:
    """A new folder for a server's data, in memory if there is room: databases are copied faster.

    Unlike pytest's folders, other OS users can enter it (as root the server runs as another one),
    and its path is short: that of a socket has room for 104 bytes.
    """
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    folder = Path(
        tempfile.mkdtemp(prefix=f"darkroom-{purpose}-", dir=MEMORY if in_memory else None)
    )
    folder.chmod(0o755)
    return folder
