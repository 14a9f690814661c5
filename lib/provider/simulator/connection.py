"""How to reach the simulators of a data folder: their token, and where one listens."""

import secrets
from pathlib import Path

from lib.files import create_once

ADDRESS, TOKEN = "address", "token"


def shared_token(folder: Path) -> str:
    """The token in `folder`, generated if there is none yet."""
    path = folder / TOKEN
    token = f"r8_{secrets.token_urlsafe(28)}"
    create_once(path, lambda draft: draft.write_text(token))
    return path.read_text()


def publish(folder: Path, base_url: str) -> None:
    """Record that a simulator listens; the last one counts."""
    (folder / ADDRESS).write_text(base_url)


def withdraw(folder: Path, base_url: str) -> None:
    """Remove the record of a simulator that stops, unless another has replaced it."""
    if published_url(folder) == base_url:
        (folder / ADDRESS).unlink(missing_ok=True)


def published_url(folder: Path) -> str | None:
    """The URL of a simulator that uses the folder; None if none is known to run."""
    try:
        return (folder / ADDRESS).read_text() or None
    except OSError:
        return None
