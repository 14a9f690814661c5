"""What callers of the functions show, and the keys of the embedded default."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lib.files import create_once


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
        text = json.dumps({name: key for name, key in asdict(keys).items() if key})
        create_once(path, lambda draft: draft.write_text(text))
    return Keys(**json.loads(path.read_text()))
