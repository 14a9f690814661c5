"""Proof that workers on the embedded database are alive: each locks a file in a shared folder.

The operating system releases the lock when the process ends, however it ends. It also holds
between containers, which cannot see each other's processes.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO
from uuid import UUID

from lib.database.file_lock import try_lock

SUFFIX = ".lock"


def hold(folder: Path, worker_id: UUID) -> TextIO:
    """Lock a worker's file: the worker counts as alive until the file is closed.

    Raises OSError.
    """
    folder.mkdir(exist_ok=True)
    draft = folder / f"{worker_id}.new"
    file = draft.open("w")
    try_lock(file)
    # Only now under the name that others look for: they must never see it unlocked.
    draft.rename(draft.with_suffix(SUFFIX))
    return file


def dead(folder: Path) -> Iterator[UUID]:
    """The workers whose file is no longer locked; it is removed when the next one is asked for."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError), path.open("r+") as file:
            if try_lock(file):
                yield UUID(path.stem)
                path.unlink()
