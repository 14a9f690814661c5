"""Files that are made once, by whichever process comes first."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def make_once(path: Path, write: Callable[[Path], object]) -> None:
    """Makes the file at `path`, unless there is one; processes starting together agree.

    `write` fills a private, empty draft beside it. Nobody ever sees a file that is not complete.
    """
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        write(draft)
        # A link, unlike a rename, leaves the file of a process that was faster.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
