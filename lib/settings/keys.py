"""API keys of the functions, and the locally generated default keys."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lib.files import create_once


@dataclass(frozen=True, slots=True)
class Keys:
    """API keys of the functions; never in the repr."""

    publishable: str = field(repr=False)
    """Identifies the application; may start generations."""
    secret: str = field(repr=False)
    """Full access; for servers only."""
    jwt_secret: str | None = field(repr=False)
    """Verifies users' HS256 tokens; None if the project signs only with key pairs."""
    legacy_publishable: str | None = field(default=None, repr=False)
    """The equivalent legacy key, while a project has both."""
    legacy_secret: str | None = field(default=None, repr=False)


def local_keys(folder: Path) -> Keys:
    """The keys in `folder`, generated if there are none; concurrent processes get the same ones."""
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
