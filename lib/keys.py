"""What callers of the functions show, and the keys of the embedded default."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Keys:
    """What callers of the functions show; never printed as a whole."""

    publishable: str = field(repr=False)
    """Names the application; allowed to start generations."""
    secret: str = field(repr=False)
    """Allowed everything; for servers only."""
    jwt_secret: str | None = field(repr=False)
    """Signs users' HS256 tokens; None where only the project's key pairs sign."""
    legacy_publishable: str | None = field(default=None, repr=False)
    """Key of the other family that may do the same, while a project has both."""
    legacy_secret: str | None = field(default=None, repr=False)


def local_keys(folder: Path) -> Keys:
    """The keys in `folder`, made if there are none yet; processes starting together agree."""
    path = folder / "keys.json"
    if not path.exists():
        keys = Keys(
            publishable=f"sb_publishable_{secrets.token_urlsafe(24)}",
            secret=f"sb_secret_{secrets.token_urlsafe(32)}",
            jwt_secret=secrets.token_urlsafe(48),
        )
        draft = folder / f"keys.{secrets.token_hex(4)}.json"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({name: key for name, key in asdict(keys).items() if key}, file)
        try:
            # A link, unlike a rename, leaves the file of a process that was faster.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return Keys(**json.loads(path.read_text()))
