"""Create a file exactly once, even when several processes try."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def create_once(path: Path, write: Callable[[Path], object]) -> None:
    """Create the file at `path` unless it exists; concurrent processes end up with the same file.

    `write` fills a private temporary file next to it, so that no one ever sees a partial file.
    """
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        write(draft)
        # Unlike a rename, a link never replaces the file of a process that was faster.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
